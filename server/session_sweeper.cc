#include "server/session_sweeper.h"

#include "absl/time/time.h"

namespace attn {

SessionSweeper::SessionSweeper(SessionStore& store, Duration interval)
    : thread_([this, &store, interval] {
        while (
            !stop_.WaitForNotificationWithTimeout(absl::FromChrono(interval))) {
          store.Sweep();
        }
      }) {}

SessionSweeper::~SessionSweeper() {
  stop_.Notify();
  thread_.join();
}

}  // namespace attn
