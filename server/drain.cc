#include "server/drain.h"

#include <algorithm>
#include <thread>

#include "absl/time/time.h"

namespace attn {
namespace {

Duration GraceOf(const DrainOptions& options) {
  const Duration kept_back =
      std::min<Duration>(options.timeout / 10, std::chrono::seconds(1));
  return options.timeout - kept_back;
}

}  // namespace

DrainEventQueue::DrainEventQueue(const Clock& clock) : clock_(clock) {}

void DrainEventQueue::Post(DrainEvent event) {
  absl::MutexLock lock(&mutex_);
  events_.push_back(event);
}

DrainEvent DrainEventQueue::WaitUntil(TimePoint deadline) {
  const auto has_event = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    return !events_.empty();
  };
  const absl::Duration timeout =
      deadline == kNoDeadline ? absl::InfiniteDuration()
                              : absl::FromChrono(deadline - clock_.Now());
  absl::MutexLock lock(&mutex_);
  if (!mutex_.AwaitWithTimeout(absl::Condition(&has_event), timeout)) {
    return DrainEvent::kTimeout;
  }
  const DrainEvent event = events_.front();
  events_.pop_front();
  return event;
}

void RunDrain(const DrainOptions& options, const DrainSteps& steps,
              const Clock& clock, DrainEvents& events) {
  while (events.WaitUntil(kNoDeadline) != DrainEvent::kSignal) {
  }
  steps.become_unready();
  if (options.delay > Duration::zero() &&
      events.WaitUntil(clock.Now() + options.delay) == DrainEvent::kSignal) {
    steps.exit_now();
    return;
  }

  steps.refuse_calls();
  const TimePoint watchdog = clock.Now() + options.timeout;
  std::jthread shutdown([&] {
    steps.shut_down(GraceOf(options));
    events.Post(DrainEvent::kShutdownDone);
  });
  if (events.WaitUntil(watchdog) != DrainEvent::kShutdownDone) {
    steps.exit_now();
  }
}

}  // namespace attn
