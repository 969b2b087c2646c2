// The tensors that pages of the KV cache are made of, as a snapshot names and
// orders them. The one place that knows how a snapshot sees a page.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "core/snapshot/snapshot_contents.h"
#include "core/tensor/kv_format.h"

namespace attn {

// A page of its form holds a block [rows, columns] of it for each KV head,
// row-major and without gaps.
struct PageTensor {
  PageForm form = PageForm::kFloat;
  std::string_view name;  // A literal, as safetensors' dtype below.
  std::string_view dtype;
  int64_t element_bytes = 0;
  int64_t rows = 0;
  int64_t columns = 0;
  int64_t first_offset = 0;  // Bytes from a page's start to head 0's block.
  int64_t head_stride = 0;   // Bytes from one head's block to the next.

  int64_t block_bytes() const { return rows * columns * element_bytes; }
  int64_t OffsetOf(int64_t head) const {
    return first_offset + head * head_stride;
  }
};

// "key" [head_dim, 64] and "value" [64, value_head_dim]; where full pages are
// packed "key", "key_scale" [head_dim, 1], "value", "value_scale" [64, 1] of
// those, then "tail_key" and "tail_value" of a last page that is not full.
std::vector<PageTensor> PageTensorsOf(const KvFormat& format);

// Pages of a layer, counted from its first.
struct PageRun {
  int64_t first = 0;
  int64_t count = 0;
};

// The pages of a layer that hold the tensor.
PageRun PagesOf(const PageTensor& tensor, const KvFormat& format,
                const LayerExtent& layer);

}  // namespace attn
