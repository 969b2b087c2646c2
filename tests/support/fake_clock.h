// A clock that stands still until a test moves it.
#pragma once

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "core/base/clock.h"

namespace attn {

// Thread-safe.
class FakeClock final : public Clock {
 public:
  // Starts well after zero, so that tests may look back in time.
  explicit FakeClock(TimePoint start = TimePoint(std::chrono::hours(1)))
      : now_(start) {}

  TimePoint Now() const override {
    absl::MutexLock lock(&mutex_);
    return now_;
  }

  void Advance(Duration duration) {
    absl::MutexLock lock(&mutex_);
    now_ += duration;
  }

 private:
  mutable absl::Mutex mutex_;
  TimePoint now_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace attn
