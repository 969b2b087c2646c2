#include "core/snapshot/block_cursor.h"

#include <iterator>

namespace attn {

BlockCursor::BlockCursor(const SnapshotContents& contents)
    : tensors_(PageTensorsOf(FormatOf(contents.spec))),
      num_heads_(contents.spec.num_kv_heads) {
  num_pages_.reserve(contents.layers.size());
  for (const LayerExtent& layer : contents.layers) {
    num_pages_.push_back(layer.num_pages());
  }
  SkipEmptyLayers();
}

void BlockCursor::Next() {
  if (++head_ < num_heads_) return;
  head_ = 0;
  if (++page_ < num_pages_[layer_]) return;
  page_ = 0;
  if (++tensor_ < std::ssize(tensors_)) return;
  tensor_ = 0;
  ++layer_;
  SkipEmptyLayers();
}

void BlockCursor::SkipEmptyLayers() {
  while (!is_done() && num_pages_[layer_] == 0) ++layer_;
}

}  // namespace attn
