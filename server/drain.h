// How the server leaves: not ready first, so that load balancers look away;
// then no new calls, while those under way finish; then the end, exit code 0.
//
// 1. Serving. A signal turns health and /readyz; the delay begins.
// 2. Delaying: calls are still accepted. When the delay is over, new calls are
//    refused and the shutdown begins.
// 3. Shutting down, on a thread of its own. When it is done, the drain is done.
// 4. A second signal, or a shutdown that outlasts its timeout (a watchdog, for
//    gRPC's Shutdown has no upper bound), ends the process at once.
#pragma once

#include <deque>
#include <functional>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "core/base/clock.h"

namespace attn {

// What the drain does to the server. All must be set.
struct DrainSteps {
  // Health NOT_SERVING, /readyz 503. Returns at once.
  std::function<void()> become_unready;
  // New calls get UNAVAILABLE / DRAINING, Watch streams end. Returns at once.
  std::function<void()> refuse_calls;
  // GOAWAY, then waits for the calls under way; cancels them after `grace`.
  // Called on a thread of its own; returns when all is over.
  std::function<void(Duration grace)> shut_down;
  // Ends the process with exit code 0, whatever still runs.
  std::function<void()> exit_now;
};

struct DrainOptions {
  Duration delay{};    // --drain-delay
  Duration timeout{};  // --drain-timeout; a tenth of it, at most 1 s, is kept
                       // back for cancelling what did not finish.
};

enum class DrainEvent { kSignal, kTimeout, kShutdownDone };

// Where the drain waits. Thread-safe.
class DrainEvents {
 public:
  virtual ~DrainEvents() = default;
  virtual void Post(DrainEvent event) = 0;
  // The next event, or kTimeout when `deadline` has come first.
  virtual DrainEvent WaitUntil(TimePoint deadline) = 0;
};

// The real one. Thread-safe.
class DrainEventQueue final : public DrainEvents {
 public:
  // Borrows `clock`, which must outlive it and run with real time.
  explicit DrainEventQueue(const Clock& clock);
  void Post(DrainEvent event) override;
  DrainEvent WaitUntil(TimePoint deadline) override;

 private:
  const Clock& clock_;
  absl::Mutex mutex_;
  std::deque<DrainEvent> events_ ABSL_GUARDED_BY(mutex_);
};

// Serves until the first signal, then drains. Returns when the server is shut
// down, or after exit_now where that returns (in tests). `events`, `clock` and
// what the steps use must outlive the call.
void RunDrain(const DrainOptions& options, const DrainSteps& steps,
              const Clock& clock, DrainEvents& events);

}  // namespace attn
