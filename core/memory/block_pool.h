// Memory for objects that come and go on the request path, one like the other:
// a block that is given back serves the next object of its size. Blocks of
// other sizes than the first one's come from the heap.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace attn {

// Thread-safe. Must outlive its blocks; those of a BlockAllocator see to it.
class BlockPool {
 public:
  // Keeps up to `max_kept` blocks.
  explicit BlockPool(size_t max_kept);
  ~BlockPool();
  BlockPool(const BlockPool&) = delete;
  BlockPool& operator=(const BlockPool&) = delete;

  // For objects of no more than operator new's alignment.
  void* Take(size_t bytes);
  void Give(void* block, size_t bytes);

 private:
  absl::Mutex mutex_;
  size_t block_bytes_ ABSL_GUARDED_BY(mutex_) = 0;  // 0: not known yet.
  std::vector<void*> kept_ ABSL_GUARDED_BY(mutex_);
};

// For std::allocate_shared. Shares the pool: objects may outlive its maker.
template <typename T>
class BlockAllocator {
 public:
  using value_type = T;  // NOLINT(readability-identifier-naming): std's.

  explicit BlockAllocator(std::shared_ptr<BlockPool> pool)
      : pool_(std::move(pool)) {}
  template <typename Other>
  BlockAllocator(const BlockAllocator<Other>& other)  // NOLINT: converts.
      : pool_(other.pool_) {}

  T* allocate(size_t n) {
    static_assert(alignof(T) <= __STDCPP_DEFAULT_NEW_ALIGNMENT__);
    return static_cast<T*>(pool_->Take(n * sizeof(T)));
  }
  void deallocate(T* block, size_t n) { pool_->Give(block, n * sizeof(T)); }

  friend bool operator==(const BlockAllocator& a, const BlockAllocator& b) {
    return a.pool_ == b.pool_;
  }

 private:
  template <typename Other>
  friend class BlockAllocator;

  std::shared_ptr<BlockPool> pool_;
};

}  // namespace attn
