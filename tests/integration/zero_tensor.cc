#include "tests/integration/zero_tensor.h"

#include <string>

namespace attn::test {
namespace {

int64_t BytesOf(v1::DataType dtype) {
  switch (dtype) {
    case v1::DATA_TYPE_BOOL:
      return 1;
    case v1::DATA_TYPE_F16:
    case v1::DATA_TYPE_BF16:
      return 2;
    case v1::DATA_TYPE_F64:
    case v1::DATA_TYPE_I64:
      return 8;
    default:
      return 4;
  }
}

}  // namespace

void FillWithZeros(v1::Tensor& tensor, std::initializer_list<int64_t> shape,
                   v1::DataType dtype) {
  tensor.set_dtype(dtype);
  tensor.clear_shape();
  int64_t bytes = BytesOf(dtype);
  for (const int64_t dim : shape) {
    tensor.add_shape(dim);
    bytes *= dim;
  }
  tensor.set_data(std::string(static_cast<size_t>(bytes), '\0'));
}

}  // namespace attn::test
