#include "core/batching/admission.h"

#include <optional>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "gtest/gtest.h"
#include "tests/support/fake_clock.h"
#include "tests/support/recording_metrics.h"

namespace attn::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TaskFacts Facts(int64_t bytes, double cost = 0) {
  TaskFacts facts;
  facts.bytes = bytes;
  facts.cost = cost;
  return facts;
}

class AdmissionTest : public testing::Test {
 protected:
  void Configure(const AdmissionLimits& limits) {
    admission_.emplace(limits, metrics_);
  }

  absl::StatusOr<AdmissionTicket> Admit(const TaskFacts& facts) {
    return admission_->Admit(facts, clock_.Now());
  }
  AdmissionTicket MustAdmit(const TaskFacts& facts) {
    auto ticket = Admit(facts);
    EXPECT_TRUE(ticket.ok()) << ticket.status();
    return ticket.ok() ? *std::move(ticket) : AdmissionTicket();
  }
  absl::StatusOr<AdmissionTicket> AdmitUntil(double cost, Duration time_left) {
    TaskFacts facts = Facts(1, cost);
    facts.deadline = clock_.Now() + time_left;
    return Admit(facts);
  }

  void ExpectQueueFull(const TaskFacts& facts, const std::string& message) {
    const absl::Status status = Admit(facts).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
    EXPECT_EQ(ReasonOf(status), Reason::kQueueFull);
    EXPECT_EQ(status.message(), message);
    EXPECT_GT(RetryAfterOf(status).value_or(Duration{}), Duration{});
  }

  // Teaches a rate of 1000 FLOPs per second and worker.
  void LearnRate() {
    AdmissionTicket ticket = MustAdmit(Facts(1, 1000));
    admission_->Started(ticket);
    admission_->WorkedOff(ticket, 1000, seconds(1));
  }

  void ExpectEmptyHouse() {
    EXPECT_EQ(admission_->queued_tasks(), 0);
    EXPECT_EQ(admission_->bytes(), 0);
    EXPECT_EQ(admission_->EstimatedWait(), Duration{});
    EXPECT_EQ(metrics_.queue_depth(), 0);
    EXPECT_EQ(metrics_.queue_bytes(), 0);
    EXPECT_EQ(metrics_.inflight_bytes(), 0);
  }

  FakeClock clock_;
  RecordingMetrics metrics_;
  std::optional<Admission> admission_{std::in_place, AdmissionLimits{},
                                      metrics_};
};

TEST_F(AdmissionTest, CountsWhatItAdmits) {
  const AdmissionTicket a = MustAdmit(Facts(100));
  AdmissionTicket b = MustAdmit(Facts(30));
  EXPECT_EQ(admission_->queued_tasks(), 2);
  EXPECT_EQ(admission_->bytes(), 130);
  EXPECT_EQ(metrics_.queue_depth(), 2);
  EXPECT_EQ(metrics_.queue_bytes(), 130);
  admission_->Started(b);
  EXPECT_EQ(metrics_.queue_depth(), 1);
  EXPECT_EQ(metrics_.queue_bytes(), 100);
  EXPECT_EQ(metrics_.inflight_bytes(), 130) << "running tasks hold theirs";
}

TEST_F(AdmissionTest, BoundsTheNumberOfQueuedTasks) {
  Configure({.max_queue_tasks = 2});
  AdmissionTicket a = MustAdmit(Facts(1));
  const AdmissionTicket b = MustAdmit(Facts(1));
  ExpectQueueFull(Facts(1), "the queue holds 2 tasks and takes no more than 2");
  admission_->Started(a);
  MustAdmit(Facts(1));
}

TEST_F(AdmissionTest, BoundsBytesOfQueuedAndRunningTasks) {
  Configure({.max_queue_bytes = 100});
  AdmissionTicket a = MustAdmit(Facts(60));
  admission_->Started(a);
  ExpectQueueFull(Facts(41),
                  "41 bytes do not fit beside the 60 in the queue, which takes "
                  "no more than 100");
  const AdmissionTicket b = MustAdmit(Facts(40));
  a = AdmissionTicket();
  EXPECT_EQ(admission_->bytes(), 40);
}

TEST_F(AdmissionTest, BoundsTheEstimatedWait) {
  Configure({.max_queue_wait = seconds(2)});
  LearnRate();
  const AdmissionTicket a = MustAdmit(Facts(1, 2001));
  ExpectQueueFull(
      Facts(1, 1),
      "the wait would be about 2.0 s and may be no more than 2.0 s");
}

TEST_F(AdmissionTest, RetryTimeGrowsWithTheWait) {
  LearnRate();
  const AdmissionTicket a = MustAdmit(Facts(1, 10000));
  const absl::Status status = Admit(Facts(1)).status();
  EXPECT_EQ(RetryAfterOf(status), seconds(5));
}

TEST_F(AdmissionTest, BeforeAnyWorkWasSeenThereIsNoEstimate) {
  const AdmissionTicket a = MustAdmit(Facts(1, 1e18));
  EXPECT_EQ(admission_->EstimatedWait(), Duration{});
  MustAdmit(Facts(1, 1e18));
}

TEST_F(AdmissionTest, EmptyHouseTakesAnyTask) {
  Configure({.max_queue_tasks = 0,
             .max_queue_bytes = 10,
             .max_queue_wait = milliseconds(1)});
  LearnRate();
  const AdmissionTicket huge = MustAdmit(Facts(int64_t{1} << 40, 1e15));
  EXPECT_FALSE(Admit(Facts(0)).ok());
}

TEST_F(AdmissionTest, WaitCountsEveryWorkerAndWhatIsLeft) {
  Configure({.max_queue_wait = seconds(100), .num_workers = 2});
  LearnRate();
  AdmissionTicket a = MustAdmit(Facts(1, 4000));
  EXPECT_EQ(admission_->EstimatedWait(), seconds(2));
  admission_->Started(a);
  EXPECT_EQ(admission_->EstimatedWait(), seconds(2)) << "not yet worked off";
  admission_->WorkedOff(a, 3000, seconds(3));
  EXPECT_EQ(admission_->EstimatedWait(), milliseconds(500));
}

TEST_F(AdmissionTest, RateFollowsTheLoad) {
  Configure({.max_queue_wait = seconds(1000)});
  LearnRate();
  AdmissionTicket a = MustAdmit(Facts(1, 1e6));
  for (int i = 0; i < 20; ++i) admission_->WorkedOff(a, 2000, seconds(1));
  const AdmissionTicket b = MustAdmit(Facts(1, 1e6 - 20 * 2000.0));
  EXPECT_NEAR(ToSeconds(admission_->EstimatedWait()), 2 * 960000 / 2000.0, 1);
}

TEST_F(AdmissionTest, WorkInNoTimeTeachesNothing) {
  AdmissionTicket a = MustAdmit(Facts(1, 1000));
  admission_->WorkedOff(a, 500, Duration{});
  EXPECT_EQ(admission_->EstimatedWait(), Duration{}) << "no rate yet";
}

TEST_F(AdmissionTest, PassedDeadlineIsRefused) {
  for (const Duration left : {Duration{}, Duration{-1}}) {
    const absl::Status status = AdmitUntil(1, left).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
    EXPECT_EQ(ReasonOf(status), Reason::kDeadlineUnreachable);
  }
  ExpectEmptyHouse();
}

TEST_F(AdmissionTest, UnreachableDeadlineIsRefusedWithBothTimes) {
  LearnRate();
  const AdmissionTicket a = MustAdmit(Facts(1, 1000));
  const absl::Status status = AdmitUntil(1000, milliseconds(2500)).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(ReasonOf(status), Reason::kDeadlineUnreachable);
  EXPECT_EQ(status.message(),
            "the deadline cannot be met for sure: 2500.0 ms are left, 3000.0 "
            "ms are wanted (1.5 times the estimate)");
  EXPECT_TRUE(AdmitUntil(1000, milliseconds(3001)).ok());
}

TEST_F(AdmissionTest, DrainingRefusesEverything) {
  admission_->StartDraining();
  const absl::Status status = Admit(Facts(1)).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(ReasonOf(status), Reason::kDraining);
  EXPECT_EQ(status.message(), "the server is shutting down");
}

TEST_F(AdmissionTest, DestroyedTicketReturnsEverything) {
  LearnRate();
  { const AdmissionTicket queued = MustAdmit(Facts(10, 500)); }
  ExpectEmptyHouse();
  {
    AdmissionTicket running = MustAdmit(Facts(10, 500));
    admission_->Started(running);
    admission_->WorkedOff(running, 200, milliseconds(200));
  }
  ExpectEmptyHouse();
}

TEST_F(AdmissionTest, UnfinishedWorkOfATicketDoesNotStayInTheEstimate) {
  LearnRate();
  const AdmissionTicket stays = MustAdmit(Facts(1, 250));
  {
    AdmissionTicket leaves = MustAdmit(Facts(1, 1000));
    admission_->Started(leaves);
    admission_->WorkedOff(leaves, 400, milliseconds(400));
  }
  EXPECT_EQ(admission_->EstimatedWait(), milliseconds(250));
}

TEST_F(AdmissionTest, MovedTicketIsReturnedOnce) {
  AdmissionTicket a = MustAdmit(Facts(10));
  {
    AdmissionTicket b = std::move(a);
    EXPECT_EQ(admission_->bytes(), 10);
    a = std::move(b);
  }
  EXPECT_EQ(admission_->bytes(), 10);
  a = AdmissionTicket();
  ExpectEmptyHouse();
}

TEST_F(AdmissionTest, RefusalLeavesNoTrace) {
  Configure({.max_queue_tasks = 1});
  {
    const AdmissionTicket a = MustAdmit(Facts(1));
    EXPECT_FALSE(Admit(Facts(7)).ok());
    EXPECT_EQ(admission_->queued_tasks(), 1);
    EXPECT_EQ(admission_->bytes(), 1);
  }
  ExpectEmptyHouse();
}

}  // namespace
}  // namespace attn::test
