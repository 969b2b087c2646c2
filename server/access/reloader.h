// Calls a function now and then, on a thread of its own: what reads credentials
// again while the server runs.
#pragma once

#include <functional>
#include <thread>

#include "absl/synchronization/notification.h"
#include "core/base/clock.h"

namespace attn {

// Thread-safe.
class Reloader {
 public:
  // The first call comes after `interval`.
  Reloader(Duration interval, std::function<void()> reload);
  // Ends the thread.
  ~Reloader();
  Reloader(const Reloader&) = delete;
  Reloader& operator=(const Reloader&) = delete;

 private:
  absl::Notification stop_;
  std::thread thread_;  // Last: it uses what is above.
};

}  // namespace attn
