#include "core/tensor/tensor_view.h"

#include "gtest/gtest.h"

namespace attn {
namespace {

TEST(TensorViewTest, RowsAreFoundByStrideInElements) {
  std::byte data[1];
  RowsView view{.data = data, .dtype = DataType::kF16, .dim = 4};
  view.head_stride = 100;
  view.row_stride = 8;
  EXPECT_EQ(view.Row(0, 0), data);
  EXPECT_EQ(view.Row(0, 3) - data, 3 * 8 * 2);
  EXPECT_EQ(view.Row(2, 3) - data, (2 * 100 + 3 * 8) * 2);
  view.dtype = DataType::kF32;
  EXPECT_EQ(view.Row(2, 3) - data, (2 * 100 + 3 * 8) * 4);
}

}  // namespace
}  // namespace attn
