// A TileGemm that tests hold and fail. What happens to a product follows from
// its inner length, which for scores is the request's head_dim: a test chooses
// by the shape of its requests which of them are held or fail.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "core/attention/tile_gemm.h"

namespace attn::test {

// Head dims that choose; others compute at once.
inline constexpr int64_t kPlainDim = 16;
inline constexpr int64_t kHeldDim = 11;     // Waits for Open.
inline constexpr int64_t kFailingDim = 13;  // INTERNAL.

// What a test says to the GEMMs it made. Thread-safe.
class GemmControl {
 public:
  // Waits until `count` products are or were held.
  void AwaitHeld(int64_t count) {
    absl::MutexLock lock(&mutex_);
    while (held_ < count) changed_.Wait(&mutex_);
  }

  // Lets held products go on, now and for ever.
  void Open() {
    absl::MutexLock lock(&mutex_);
    is_open_ = true;
    changed_.SignalAll();
  }

  // Products of kHeldDim that came so far.
  int64_t held() const {
    absl::MutexLock lock(&mutex_);
    return held_;
  }

  void Hold() {
    absl::MutexLock lock(&mutex_);
    ++held_;
    changed_.SignalAll();
    while (!is_open_) changed_.Wait(&mutex_);
  }

 private:
  mutable absl::Mutex mutex_;
  absl::CondVar changed_;
  int64_t held_ ABSL_GUARDED_BY(mutex_) = 0;
  bool is_open_ ABSL_GUARDED_BY(mutex_) = false;
};

// Borrows the control, which must outlive it. Thread-safe.
class ControlledTileGemm final : public TileGemm {
 public:
  explicit ControlledTileGemm(GemmControl& control) : control_(control) {}

  absl::Status Multiply(const GemmShape& shape, const float* a, const float* b,
                        float* c, bool accumulate) const override {
    if (shape.k == kFailingDim && !accumulate) {
      return absl::InternalError("secret detail of the library");
    }
    if (shape.k == kHeldDim && !accumulate) control_.Hold();
    return portable_->Multiply(shape, a, b, c, accumulate);
  }

  std::string Description() const override { return "controlled"; }
  std::string ChosenIsa() const override { return "test"; }

 private:
  GemmControl& control_;
  const std::unique_ptr<TileGemm> portable_ = MakePortableTileGemm();
};

}  // namespace attn::test
