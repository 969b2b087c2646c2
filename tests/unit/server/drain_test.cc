#include "server/drain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <utility>

#include "absl/synchronization/notification.h"
#include "tests/support/fake_clock.h"

namespace attn {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;

// Plays events by a script and moves the clock when a wait times out. While
// the script says kShutdownDone it waits for the real one.
class ScriptedEvents final : public DrainEvents {
 public:
  ScriptedEvents(FakeClock& clock, std::deque<DrainEvent> script)
      : clock_(clock), script_(std::move(script)) {}

  void Post(DrainEvent event) override {
    if (event == DrainEvent::kShutdownDone) shutdown_done_.Notify();
  }

  DrainEvent WaitUntil(TimePoint deadline) override {
    const DrainEvent event = script_.front();
    script_.pop_front();
    if (event == DrainEvent::kShutdownDone) {
      shutdown_done_.WaitForNotification();
    }
    if (event == DrainEvent::kTimeout) {
      waits_.push_back(deadline - clock_.Now());
      clock_.Advance(waits_.back());
    }
    return event;
  }

  const std::vector<Duration>& waits() const { return waits_; }

 private:
  FakeClock& clock_;
  std::deque<DrainEvent> script_;
  absl::Notification shutdown_done_;
  std::vector<Duration> waits_;
};

class DrainTest : public testing::Test {
 protected:
  void Run(std::deque<DrainEvent> script) {
    events_.emplace(clock_, std::move(script));
    RunDrain(options_, Steps(), clock_, *events_);
  }

  DrainSteps Steps() {
    return {.become_unready = [this] { Note("unready"); },
            .refuse_calls = [this] { Note("refuse"); },
            .shut_down =
                [this](Duration grace) {
                  grace_ = grace;
                  Note("shutdown");
                  if (shutdown_hangs_) exited_.WaitForNotification();
                },
            .exit_now =
                [this] {
                  Note("exit");
                  exited_.Notify();
                }};
  }

  void Note(const std::string& step) {
    absl::MutexLock lock(&mutex_);
    // The shutdown thread races with the watchdog; only its grace is of use.
    if (step != "shutdown" || !shutdown_hangs_) steps_.push_back(step);
  }

  DrainOptions options_{.delay = seconds(5), .timeout = seconds(30)};
  FakeClock clock_;
  bool shutdown_hangs_ = false;
  absl::Notification exited_;
  Duration grace_{};
  absl::Mutex mutex_;
  std::vector<std::string> steps_;
  std::optional<ScriptedEvents> events_;
};

TEST_F(DrainTest, WaitsTheDelayThenShutsDown) {
  Run({DrainEvent::kSignal, DrainEvent::kTimeout, DrainEvent::kShutdownDone});
  EXPECT_THAT(steps_, ElementsAre("unready", "refuse", "shutdown"));
  EXPECT_THAT(events_->waits(), ElementsAre(seconds(5)));
}

TEST_F(DrainTest, KeepsTimeBackForCancelling) {
  Run({DrainEvent::kSignal, DrainEvent::kTimeout, DrainEvent::kShutdownDone});
  EXPECT_EQ(grace_, seconds(29));
  options_.timeout = seconds(2);
  Run({DrainEvent::kSignal, DrainEvent::kTimeout, DrainEvent::kShutdownDone});
  EXPECT_EQ(grace_, milliseconds(1800));
}

TEST_F(DrainTest, SkipsADelayOfZero) {
  options_.delay = Duration::zero();
  Run({DrainEvent::kSignal, DrainEvent::kShutdownDone});
  EXPECT_THAT(steps_, ElementsAre("unready", "refuse", "shutdown"));
}

TEST_F(DrainTest, SecondSignalDuringTheDelayEndsAtOnce) {
  Run({DrainEvent::kSignal, DrainEvent::kSignal});
  EXPECT_THAT(steps_, ElementsAre("unready", "exit"));
}

TEST_F(DrainTest, SecondSignalDuringTheShutdownEndsAtOnce) {
  shutdown_hangs_ = true;
  Run({DrainEvent::kSignal, DrainEvent::kTimeout, DrainEvent::kSignal});
  EXPECT_THAT(steps_, ElementsAre("unready", "refuse", "exit"));
}

TEST_F(DrainTest, WatchdogEndsAShutdownThatHangs) {
  shutdown_hangs_ = true;
  Run({DrainEvent::kSignal, DrainEvent::kTimeout, DrainEvent::kTimeout});
  EXPECT_THAT(steps_, ElementsAre("unready", "refuse", "exit"));
  EXPECT_THAT(events_->waits(), ElementsAre(seconds(5), seconds(30)));
}

TEST(DrainEventQueueTest, GivesEventsInTheirOrder) {
  const SteadyClock clock;
  DrainEventQueue queue(clock);
  queue.Post(DrainEvent::kSignal);
  queue.Post(DrainEvent::kShutdownDone);
  EXPECT_EQ(queue.WaitUntil(kNoDeadline), DrainEvent::kSignal);
  EXPECT_EQ(queue.WaitUntil(kNoDeadline), DrainEvent::kShutdownDone);
}

TEST(DrainEventQueueTest, TimesOutAtTheDeadline) {
  const SteadyClock clock;
  DrainEventQueue queue(clock);
  EXPECT_EQ(queue.WaitUntil(clock.Now()), DrainEvent::kTimeout);
}

}  // namespace
}  // namespace attn
