// Calls a function now and then, on a thread of its own: what sweeps idle
// sessions, reads credentials again and gives memory back while nobody asks.
#pragma once

#include <functional>
#include <thread>

#include "absl/synchronization/notification.h"
#include "core/base/clock.h"

namespace attn {

// Thread-safe.
class Ticker {
 public:
  // The first call comes after `interval`.
  Ticker(Duration interval, std::function<void()> tick);
  // Ends the thread.
  ~Ticker();
  Ticker(const Ticker&) = delete;
  Ticker& operator=(const Ticker&) = delete;

 private:
  absl::Notification stop_;
  std::thread thread_;  // Last: it uses what is above.
};

}  // namespace attn
