#include "client/cpp/tensor_slice.h"

#include <string>
#include <utility>

namespace attn::client {

Tensor Slice(const Tensor& tensor, size_t axis, int64_t begin, int64_t end) {
  Shape shape = tensor.shape();
  if (begin == 0 && end == shape[axis]) {
    return tensor;
  }
  size_t rows = 1;
  size_t step = ElementBytes(tensor.dtype());  // From one element to the next.
  for (size_t i = 0; i < shape.size(); ++i) {
    if (i != axis) {
      (i < axis ? rows : step) *= shape[i];
    }
  }
  const size_t row_bytes = shape[axis] * step;
  shape[axis] = end - begin;
  std::string bytes;
  bytes.reserve(rows * shape[axis] * step);
  for (size_t row = 0; row < rows; ++row) {
    bytes += tensor.bytes().substr(row * row_bytes + begin * step,
                                   shape[axis] * step);
  }
  return Tensor::Own(tensor.dtype(), std::move(shape), std::move(bytes));
}

}  // namespace attn::client
