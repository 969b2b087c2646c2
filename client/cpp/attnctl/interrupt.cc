#include "client/cpp/attnctl/interrupt.h"

#include <unistd.h>

#include <ctime>

#include "absl/time/clock.h"

namespace attn::attnctl {

InterruptibleClock::InterruptibleClock() {
  sigemptyset(&signals_);
  sigaddset(&signals_, SIGINT);
  sigaddset(&signals_, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals_, &before_);
  watcher_ = std::thread([this] { WaitForSignal(); });
}

InterruptibleClock::~InterruptibleClock() {
  closed_.Notify();
  watcher_.join();
  pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

absl::Time InterruptibleClock::Now() { return absl::Now(); }

void InterruptibleClock::SleepUntil(absl::Time time) {
  stopped_.WaitForNotificationWithDeadline(time);
}

void InterruptibleClock::WaitForSignal() {
  constexpr timespec kPoll = {0, 100'000'000};
  while (!closed_.HasBeenNotified()) {
    const int signal = sigtimedwait(&signals_, nullptr, &kPoll);
    if (signal > 0 && !stopped_.HasBeenNotified()) {
      stopped_.Notify();
    } else if (signal > 0) {
      constexpr int kKilledBySignal = 128;
      _exit(kKilledBySignal + signal);
    }
  }
}

}  // namespace attn::attnctl
