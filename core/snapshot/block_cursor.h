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

  bool is_done() const { return layer_ == std::ssize(layers_); }

  // The block it stands at. REQUIRES, from here on: not is_done().
  int64_t layer() const { return layer_; }
  // Counted from the layer's first.
  int64_t page() const { return run_.first + page_; }
  PageForm form() const { return tensor().form; }
  int64_t block_bytes() const { return tensor().block_bytes(); }
  // Bytes from the page's start to the block.
  int64_t offset_in_page() const { return tensor().OffsetOf(head_); }

  void Next();

 private:
  const PageTensor& tensor() const { return tensors_[tensor_]; }
  // Goes on to the first tensor from here on that has pages.
  void FindRun();

  const KvFormat format_;
  const std::vector<PageTensor> tensors_;
  const std::vector<LayerExtent> layers_;
  int64_t layer_ = 0;
  int64_t tensor_ = 0;
  PageRun run_;       // The pages of that tensor in that layer.
  int64_t page_ = 0;  // Within run_.
  int64_t head_ = 0;
};

}  // namespace attn
