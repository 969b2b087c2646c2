#include "core/memory/block_pool.h"

#include <new>

namespace attn {

BlockPool::BlockPool(size_t max_kept) { kept_.reserve(max_kept); }

BlockPool::~BlockPool() {
  for (void* block : kept_) ::operator delete(block);
}

void* BlockPool::Take(size_t bytes) {
  {
    absl::MutexLock lock(&mutex_);
    if (block_bytes_ == 0) block_bytes_ = bytes;
    if (bytes == block_bytes_ && !kept_.empty()) {
      void* block = kept_.back();
      kept_.pop_back();
      return block;
    }
  }
  return ::operator new(bytes);
}

void BlockPool::Give(void* block, size_t bytes) {
  {
    absl::MutexLock lock(&mutex_);
    if (bytes == block_bytes_ && kept_.size() < kept_.capacity()) {
      kept_.push_back(block);
      return;
    }
  }
  ::operator delete(block);
}

}  // namespace attn
