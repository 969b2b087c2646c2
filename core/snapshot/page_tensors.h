// The tensors that a page of the KV cache is made of, as a snapshot names and
// orders them. The one place that knows how a snapshot sees a page.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "core/tensor/dtype.h"
#include "core/tensor/kv_format.h"

namespace attn {

// A page holds a block [rows, columns] of it for each KV head, row-major and
// without gaps.
struct PageTensor {
  std::string_view name;  // A literal.
  DataType dtype = DataType::kF32;
  int64_t rows = 0;
  int64_t columns = 0;
  int64_t first_offset = 0;  // Bytes from a page's start to head 0's block.
  int64_t head_stride = 0;   // Bytes from one head's block to the next.

  int64_t block_bytes() const { return rows * columns * ElementBytes(dtype); }
  int64_t OffsetOf(int64_t head) const {
    return first_offset + head * head_stride;
  }
};

// "key" [head_dim, 64] and "value" [64, value_head_dim].
std::vector<PageTensor> PageTensorsOf(const KvFormat& format);

}  // namespace attn
