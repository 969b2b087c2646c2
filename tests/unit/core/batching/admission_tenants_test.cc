// Admission between tenants: whose flood is whose trouble.
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "core/batching/admission.h"
#include "gtest/gtest.h"
#include "tests/support/fake_clock.h"
#include "tests/support/recording_metrics.h"

namespace attn::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class AdmissionTenantsTest : public testing::Test {
 protected:
  static AdmissionLimits Limits() {
    AdmissionLimits limits;
    limits.max_queue_tasks = 10;
    limits.max_queue_bytes = 1000;
    limits.max_queue_wait = seconds(4);
    return limits;
  }
  absl::StatusOr<AdmissionTicket> Admit(Tenant& tenant, double cost = 0,
                                        int64_t bytes = 1,
                                        Duration time_left = kNoTime) {
    TaskFacts facts;
    facts.tenant = &tenant;
    facts.cost = cost;
    facts.bytes = bytes;
    if (time_left != kNoTime) facts.deadline = clock_.Now() + time_left;
    return admission_.Admit(facts, clock_.Now());
  }
  void MustAdmit(Tenant& tenant, double cost = 0, int64_t bytes = 1) {
    auto ticket = Admit(tenant, cost, bytes);
    ASSERT_TRUE(ticket.ok()) << ticket.status();
    house_.push_back(*std::move(ticket));
  }
  void ExpectQueueFull(const absl::Status& status, const std::string& message) {
    EXPECT_EQ(ReasonOf(status), Reason::kQueueFull) << status;
    EXPECT_EQ(status.message(), message);
    EXPECT_GT(RetryAfterOf(status).value_or(Duration{}), Duration{});
  }
  // 1000 FLOPs per second.
  void LearnRate() {
    MustAdmit(b_, 1000);
    admission_.Started(house_.back());
    admission_.WorkedOff(house_.back(), 1000, seconds(1));
    house_.pop_back();
  }

  static constexpr Duration kNoTime = Duration::min();

  FakeClock clock_;
  RecordingMetrics metrics_;
  Tenant a_{"a", 1, {.queue_share = 0.5}};
  Tenant b_{"b", 2, {}};
  Tenant heavy_{"heavy", 5, {.weight = 4}};
  Admission admission_{Limits(), metrics_};
  std::vector<AdmissionTicket> house_;
};

TEST_F(AdmissionTenantsTest, FloodFillsItsOwnShareOfTasks) {
  for (int i = 0; i < 5; ++i) MustAdmit(a_);
  ExpectQueueFull(Admit(a_).status(),
                  "tenant a has 5 tasks in the queue and its share takes no "
                  "more than 5");
  MustAdmit(b_);
  EXPECT_EQ(a_.usage().refused_tasks, 1);
  EXPECT_EQ(a_.usage().admitted_tasks, 5);
  EXPECT_EQ(a_.usage().queued_tasks, 5);
  EXPECT_EQ(b_.usage().refused_tasks, 0);
  // What runs is in the queue no more.
  admission_.Started(house_.front());
  EXPECT_EQ(a_.usage().queued_tasks, 4);
  MustAdmit(a_);
}

TEST_F(AdmissionTenantsTest, FloodFillsItsOwnShareOfBytes) {
  MustAdmit(a_, 0, 300);
  admission_.Started(house_.front());
  ExpectQueueFull(Admit(a_, 0, 201).status(),
                  "201 bytes do not fit beside the 300 that tenant a has in "
                  "the queue, and its share takes no more than 500");
  MustAdmit(a_, 0, 200);
  EXPECT_EQ(a_.usage().inflight_bytes, 500);
  MustAdmit(b_, 0, 500);
  house_.clear();
  EXPECT_EQ(a_.usage().inflight_bytes, 0);
  EXPECT_EQ(a_.usage().queued_tasks, 0);
}

TEST_F(AdmissionTenantsTest, FloodFillsItsOwnShareOfTime) {
  LearnRate();
  MustAdmit(a_, 2001);
  ExpectQueueFull(Admit(a_).status(),
                  "what tenant a has queued would take about 2.0 s and its "
                  "share is no more than 2.0 s");
  MustAdmit(b_, 2001);
}

TEST_F(AdmissionTenantsTest, WhoHasNothingInTheHouseIsNotBeyondItsShare) {
  MustAdmit(b_, 0, 100);
  MustAdmit(a_, 0, 900);
  EXPECT_EQ(ReasonOf(Admit(b_, 0, 1).status()), Reason::kQueueFull)
      << "the house is full for all";
}

TEST_F(AdmissionTenantsTest, SharesDoNotWidenTheBoundsOfAll) {
  for (int i = 0; i < 5; ++i) MustAdmit(a_);
  for (int i = 0; i < 5; ++i) MustAdmit(b_);
  ExpectQueueFull(Admit(heavy_).status(),
                  "the queue holds 10 tasks and takes no more than 10");
}

TEST_F(AdmissionTenantsTest, LongQueueOfOneIsNoWaitForAnother) {
  LearnRate();
  MustAdmit(b_, 5000);
  ExpectQueueFull(Admit(b_).status(),
                  "the wait would be about 5.0 s and may be no more than "
                  "4.0 s");
  MustAdmit(heavy_, 1);
  // What runs is before everybody.
  admission_.Started(house_.front());
  ExpectQueueFull(Admit(heavy_).status(),
                  "the wait would be about 5.0 s and may be no more than "
                  "4.0 s");
}

TEST_F(AdmissionTenantsTest, DeadlineCountsWhatRunsBefore) {
  LearnRate();
  MustAdmit(b_, 3000);
  EXPECT_EQ(ReasonOf(Admit(b_, 100, 1, milliseconds(4649)).status()),
            Reason::kDeadlineUnreachable);
  // With the same weight as much of b's goes before as there is of a's own.
  EXPECT_TRUE(Admit(a_, 100, 1, milliseconds(301)).ok());
  EXPECT_EQ(ReasonOf(Admit(a_, 100, 1, milliseconds(299)).status()),
            Reason::kDeadlineUnreachable);
  // With four times its weight, a quarter.
  EXPECT_TRUE(Admit(heavy_, 100, 1, milliseconds(188)).ok());
  EXPECT_EQ(ReasonOf(Admit(heavy_, 100, 1, milliseconds(187)).status()),
            Reason::kDeadlineUnreachable);
}

}  // namespace
}  // namespace attn::test
