#include "core/snapshot/block_cursor.h"

#include <iterator>

namespace attn {

BlockCursor::BlockCursor(const SnapshotContents& contents)
    : format_(FormatOf(contents.spec)),
      tensors_(PageTensorsOf(format_)),
      layers_(contents.layers) {
  FindRun();
}

void BlockCursor::Next() {
  if (++head_ < format_.num_kv_heads) return;
  head_ = 0;
  if (++page_ < run_.count) return;
  page_ = 0;
  ++tensor_;
  FindRun();
}

void BlockCursor::FindRun() {
  for (; layer_ < std::ssize(layers_); ++layer_, tensor_ = 0) {
    for (; tensor_ < std::ssize(tensors_); ++tensor_) {
      run_ = PagesOf(tensor(), format_, layers_[layer_]);
      if (run_.count > 0) return;
    }
  }
}

}  // namespace attn
