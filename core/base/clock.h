// Time as the service sees it. Everything that waits, expires or measures takes
// a Clock, so that tests and simulations move time by hand.
#pragma once

#include <chrono>

namespace attn {

using Duration = std::chrono::nanoseconds;
// A point on the monotonic clock; never wall-clock time.
using TimePoint = std::chrono::time_point<std::chrono::steady_clock, Duration>;

// The deadline of a request that has none.
inline constexpr TimePoint kNoDeadline = TimePoint::max();

// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual TimePoint Now() const = 0;
};

class SteadyClock final : public Clock {
 public:
  TimePoint Now() const override {
    return std::chrono::time_point_cast<Duration>(
        std::chrono::steady_clock::now());
  }
};

inline double ToSeconds(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

}  // namespace attn
