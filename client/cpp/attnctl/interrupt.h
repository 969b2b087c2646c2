// Ctrl-C as a wish to end early: the first SIGINT or SIGTERM sets a flag, the
// second one ends the process as usual.
#pragma once

#include <csignal>
#include <thread>

#include "absl/synchronization/notification.h"
#include "client/cpp/attnctl/load_generator.h"

namespace attn::attnctl {

// The real clock of a load, stopped by Ctrl-C. At most one at a time; make it
// before any other thread, so that all inherit the blocked signals.
// Thread-safe.
class InterruptibleClock : public LoadClock {
 public:
  InterruptibleClock();
  ~InterruptibleClock() override;
  InterruptibleClock(const InterruptibleClock&) = delete;
  InterruptibleClock& operator=(const InterruptibleClock&) = delete;

  absl::Time Now() override;
  void SleepUntil(absl::Time time) override;
  bool stopped() override { return stopped_.HasBeenNotified(); }

 private:
  void WaitForSignal();

  sigset_t signals_;
  sigset_t before_;
  absl::Notification stopped_;
  absl::Notification closed_;
  std::thread watcher_;
};

}  // namespace attn::attnctl
