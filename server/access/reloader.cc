#include "server/access/reloader.h"

#include <utility>

#include "absl/time/time.h"

namespace attn {

Reloader::Reloader(Duration interval, std::function<void()> reload)
    : thread_([this, interval, reload = std::move(reload)] {
        while (
            !stop_.WaitForNotificationWithTimeout(absl::FromChrono(interval))) {
          reload();
        }
      }) {}

Reloader::~Reloader() {
  stop_.Notify();
  thread_.join();
}

}  // namespace attn
