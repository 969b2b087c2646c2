// The memory of packed weights: of layers that are loaded, that are being
// loaded, and that were unloaded and run yet.
#pragma once

#include <cstdint>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace attn {

// Thread-safe. Shared by the store and its layers, which may outlive it.
class LayerBudget : public std::enable_shared_from_this<LayerBudget> {
 public:
  explicit LayerBudget(int64_t max_bytes) : max_bytes_(max_bytes) {}

  // Gives its bytes back when destroyed. Thread-compatible.
  class Share {
   public:
    ~Share() { budget_->Return(bytes_); }
    Share(const Share&) = delete;
    Share& operator=(const Share&) = delete;

   private:
    friend class LayerBudget;
    Share(std::shared_ptr<LayerBudget> budget, int64_t bytes)
        : budget_(std::move(budget)), bytes_(bytes) {}

    const std::shared_ptr<LayerBudget> budget_;
    const int64_t bytes_;
  };

  // Null beyond max_bytes. REQUIRES: bytes >= 0.
  std::unique_ptr<const Share> Take(int64_t bytes) {
    const absl::MutexLock lock(&mutex_);
    if (bytes > max_bytes_ - bytes_) return nullptr;
    bytes_ += bytes;
    return std::unique_ptr<const Share>(new Share(shared_from_this(), bytes));
  }

  int64_t max_bytes() const { return max_bytes_; }
  int64_t bytes() const {
    const absl::MutexLock lock(&mutex_);
    return bytes_;
  }

 private:
  void Return(int64_t bytes) {
    const absl::MutexLock lock(&mutex_);
    bytes_ -= bytes;
  }

  const int64_t max_bytes_;
  mutable absl::Mutex mutex_;
  int64_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace attn
