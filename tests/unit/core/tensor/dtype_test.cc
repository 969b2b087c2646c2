#include "core/tensor/dtype.h"

#include "gtest/gtest.h"

namespace attn {
namespace {

TEST(DtypeTest, ElementBytesOfEveryType) {
  EXPECT_EQ(ElementBytes(DataType::kF32), 4);
  EXPECT_EQ(ElementBytes(DataType::kF16), 2);
  EXPECT_EQ(ElementBytes(DataType::kBF16), 2);
  EXPECT_EQ(ElementBytes(DataType::kF64), 8);
  EXPECT_EQ(ElementBytes(DataType::kBool), 1);
  EXPECT_EQ(ElementBytes(DataType::kI32), 4);
  EXPECT_EQ(ElementBytes(DataType::kI64), 8);
}

TEST(DtypeTest, NumbersOutsideTheEnumHaveNoSize) {
  for (const int number : {0, 8, -1, INT32_MAX, INT32_MIN}) {
    EXPECT_EQ(ElementBytes(static_cast<DataType>(number)), 0) << number;
  }
}

TEST(DtypeTest, NamesTellUnspecifiedFromUnknown) {
  EXPECT_EQ(DataTypeName(DataType::kBF16), "BF16");
  EXPECT_EQ(DataTypeName(DataType::kBool), "BOOL");
  EXPECT_EQ(DataTypeName(DataType::kUnspecified), "unspecified");
  EXPECT_EQ(DataTypeName(static_cast<DataType>(8)), "unknown");
  EXPECT_EQ(DataTypeName(static_cast<DataType>(-1)), "unknown");
}

}  // namespace
}  // namespace attn
