#include "server/ticker.h"

#include <utility>

#include "absl/time/time.h"

namespace attn {

Ticker::Ticker(Duration interval, std::function<void()> tick)
    : thread_([this, interval, tick = std::move(tick)] {
        while (
            !stop_.WaitForNotificationWithTimeout(absl::FromChrono(interval))) {
          tick();
        }
      }) {}

Ticker::~Ticker() {
  stop_.Notify();
  thread_.join();
}

}  // namespace attn
