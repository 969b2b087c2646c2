// Borrowed tensors with strides, as kernels see them: the same code reads
// [B, H, S, D] and [B, S, H, D].
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/tensor/dtype.h"

namespace attn {

// Rows of `dim` contiguous elements, addressed by (head, row). Borrows its
// data, which must outlive the view. `Byte` is std::byte or const std::byte.
template <typename Byte>
struct BasicRowsView {
  Byte* data = nullptr;
  DataType dtype = DataType::kF32;
  int64_t dim = 0;          // Elements in a row.
  int64_t head_stride = 0;  // Elements from a head to the next.
  int64_t row_stride = 0;   // Elements from a row to the next.

  // Row `row` of head `head`.
  Byte* Row(int64_t head, int64_t row) const {
    return data + (head * head_stride + row * row_stride) * ElementBytes(dtype);
  }
};

using RowsView = BasicRowsView<const std::byte>;
using MutableRowsView = BasicRowsView<std::byte>;

}  // namespace attn
