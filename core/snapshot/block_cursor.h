// The order of a snapshot's page data: layer by layer, tensor by tensor, page
// by page, head by head. Writer and reader walk it with the same cursor.
#pragma once

#include <cstdint>
#include <vector>

#include "core/snapshot/page_tensors.h"
#include "core/snapshot/snapshot_contents.h"

namespace attn {

// Thread-compatible.
class BlockCursor {
 public:
  explicit BlockCursor(const SnapshotContents& contents);

  bool is_done() const { return layer_ == std::ssize(num_pages_); }

  // The block it stands at. REQUIRES, from here on: not is_done().
  int64_t layer() const { return layer_; }
  int64_t page() const { return page_; }  // Counted from the layer's first.
  int64_t block_bytes() const { return tensor().block_bytes(); }
  // Bytes from the page's start to the block.
  int64_t offset_in_page() const { return tensor().OffsetOf(head_); }

  void Next();

 private:
  const PageTensor& tensor() const { return tensors_[tensor_]; }
  void SkipEmptyLayers();

  const std::vector<PageTensor> tensors_;
  const int64_t num_heads_;
  std::vector<int64_t> num_pages_;  // [num_layers]
  int64_t layer_ = 0;
  int64_t tensor_ = 0;
  int64_t page_ = 0;
  int64_t head_ = 0;
};

}  // namespace attn
