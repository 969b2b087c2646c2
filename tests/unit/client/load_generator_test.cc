#include "client/cpp/attnctl/load_generator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace attn::attnctl {
namespace {

using client::AttendResult;
using ::testing::ElementsAre;

// Time moves only when something sleeps. Thread-compatible.
class FakeClock : public LoadClock {
 public:
  absl::Time Now() override { return now_; }
  void SleepUntil(absl::Time time) override { now_ = std::max(now_, time); }
  bool stopped() override { return now_ >= stop_; }

  void Advance(absl::Duration duration) { now_ += duration; }
  void StopAt(absl::Duration offset) { stop_ = absl::UnixEpoch() + offset; }

 private:
  absl::Time now_ = absl::UnixEpoch();
  absl::Time stop_ = absl::InfiniteFuture();
};

// Answers at once after the clock has moved by a service time; what has one of
// its own in `stalls` takes longer.
class FakeSender : public Sender {
 public:
  explicit FakeSender(FakeClock& fake_clock) : clock(fake_clock) {}

  void Send(const std::vector<client::AttendRequest>& requests,
            Done done) override {
    std::vector<AttendResult> results(requests.size());
    sizes.push_back(requests.size());
    clock.Advance(sizes.size() == 1 ? first : others);
    if (fail) {
      results.front().status = absl::UnavailableError("down");
    }
    done(std::move(results));
  }

  FakeClock& clock;
  absl::Duration first = absl::Milliseconds(1);
  absl::Duration others = absl::Milliseconds(1);
  bool fail = false;
  std::vector<size_t> sizes;
};

class LoadGeneratorTest : public ::testing::Test {
 protected:
  LoadParts Parts() { return {source_, sender_, record_, clock_}; }
  static LoadSchedule EveryTenMilliseconds() {
    return {Arrivals::kConstant, 100, 1};
  }

  ProblemSource source_ =
      ProblemSource::Create({.kv_len = {4, 4}, .head_dim = 2}, 1).value();
  FakeClock clock_;
  FakeSender sender_{clock_};
  LoadRecord record_{0};
};

TEST_F(LoadGeneratorTest, OpenLoopCountsLatencyFromTheIntendedTime) {
  sender_.first = absl::Milliseconds(50);  // A stall of five intervals.
  LoadPlan plan;
  plan.max_requests = 3;
  RunOpenLoop(plan, EveryTenMilliseconds(), Parts());
  // Sends intended at 0, 10, 20 ms are answered at 50, 51, 52 ms.
  const LatencyHistogram latency = record_.Copy().latency;
  EXPECT_EQ(latency.count(), 3);
  EXPECT_EQ(latency.max(), absl::Milliseconds(50));
  EXPECT_EQ(latency.mean(), absl::Milliseconds(50 + 41 + 32) / 3);
}

TEST_F(LoadGeneratorTest, OpenLoopSendsAsManyAsTheDurationHolds) {
  LoadPlan plan;
  plan.duration = absl::Milliseconds(100);
  RunOpenLoop(plan, EveryTenMilliseconds(), Parts());
  EXPECT_EQ(record_.completed(), 10);
}

TEST_F(LoadGeneratorTest, OpenLoopEndsWhenStopped) {
  clock_.StopAt(absl::Milliseconds(35));
  RunOpenLoop({}, EveryTenMilliseconds(), Parts());
  EXPECT_EQ(record_.completed(), 4);
}

TEST_F(LoadGeneratorTest, ClosedLoopSendsTheNextAfterTheAnswer) {
  LoadPlan plan;
  plan.duration = absl::Milliseconds(5);
  const absl::Duration elapsed = RunClosedLoop(plan, Parts());
  EXPECT_EQ(elapsed, absl::Milliseconds(5));
  EXPECT_EQ(record_.completed(), 5);
  EXPECT_EQ(record_.Copy().latency.max(), absl::Milliseconds(1));
}

TEST_F(LoadGeneratorTest, LastBatchIsCutToTheNumberOfRequests) {
  LoadPlan plan;
  plan.items_per_send = 4;
  plan.max_requests = 10;
  plan.duration = absl::InfiniteDuration();
  RunClosedLoop(plan, Parts());
  EXPECT_THAT(sender_.sizes, ElementsAre(4, 4, 2));
  EXPECT_EQ(record_.completed(), 10);
}

TEST_F(LoadGeneratorTest, FailuresAreCountedByCodeAndNotTimed) {
  sender_.fail = true;
  LoadPlan plan;
  plan.items_per_send = 2;
  plan.max_requests = 2;
  RunClosedLoop(plan, Parts());
  const LoadFigures figures = record_.Copy();
  EXPECT_EQ(figures.completed, 1);
  EXPECT_EQ(figures.failed, 1);
  EXPECT_EQ(figures.errors.at("UNAVAILABLE"), 1);
  EXPECT_EQ(figures.latency.count(), 0);
}

}  // namespace
}  // namespace attn::attnctl
