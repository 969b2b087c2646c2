#include "core/batching/batch_scheduler.h"

#include <optional>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/fake_clock.h"
#include "tests/unit/core/batching/simple_task.h"

namespace attn::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using testing::ElementsAre;
using testing::IsEmpty;
using Names = std::vector<std::string>;

class BatchSchedulerTest : public testing::Test {
 protected:
  void Configure(const BatchLimits& limits) { scheduler_.emplace(limits); }

  TaskPtr Schedule(const std::string& name, TaskFacts facts = {}) {
    TaskPtr task = MakeTask(name, facts);
    scheduler_->Schedule(task, clock_.Now());
    return task;
  }
  TaskPtr Schedule(const std::string& name, Priority priority) {
    TaskFacts facts;
    facts.priority = priority;
    return Schedule(name, facts);
  }
  TaskPtr ScheduleCosting(const std::string& name, double cost) {
    TaskFacts facts;
    facts.cost = cost;
    return Schedule(name, facts);
  }
  TaskPtr ScheduleUntil(const std::string& name, Duration time_left) {
    TaskFacts facts;
    facts.deadline = clock_.Now() + time_left;
    return Schedule(name, facts);
  }

  // The names in the next batch; none if there is no batch.
  Names Take() {
    std::vector<TaskPtr> expired;
    const auto batch = scheduler_->TakeBatch(clock_.Now(), expired);
    expired_ = NamesOf(expired);
    closed_by_.reset();
    if (!batch.has_value()) return {};
    EXPECT_FALSE(batch->tasks.empty());
    closed_by_ = batch->closed_by;
    return NamesOf(batch->tasks);
  }

  FakeClock clock_;
  std::optional<BatchScheduler> scheduler_{BatchLimits{}};
  Names expired_;
  std::optional<ClosedBy> closed_by_;
};

TEST_F(BatchSchedulerTest, EmptyQueueGivesNoBatch) {
  EXPECT_THAT(Take(), IsEmpty());
  EXPECT_EQ(scheduler_->ReadyTime(), std::nullopt);
  EXPECT_EQ(scheduler_->size(), 0);
}

TEST_F(BatchSchedulerTest, TasksOfAnyLengthShareABatchInOrderOfArrival) {
  TaskFacts small{.num_query_tokens = 1};
  TaskFacts large{.num_query_tokens = 100000};
  Schedule("a", small);
  Schedule("b", large);
  Schedule("c", small);
  EXPECT_EQ(scheduler_->size(), 3);
  EXPECT_THAT(Take(), ElementsAre("a", "b", "c"));
  EXPECT_EQ(closed_by_, ClosedBy::kIdleWorker);
  EXPECT_EQ(scheduler_->size(), 0);
  EXPECT_THAT(Take(), IsEmpty());
}

TEST_F(BatchSchedulerTest, ClosesWhenFullByCount) {
  Configure({.max_batch_tasks = 2});
  for (const char* name : {"a", "b", "c"}) Schedule(name);
  EXPECT_THAT(Take(), ElementsAre("a", "b"));
  EXPECT_EQ(closed_by_, ClosedBy::kFull);
  EXPECT_THAT(Take(), ElementsAre("c"));
  EXPECT_EQ(closed_by_, ClosedBy::kIdleWorker);
}

TEST_F(BatchSchedulerTest, ClosesWhenFullByCost) {
  Configure({.max_batch_cost = 10});
  ScheduleCosting("a", 6);
  ScheduleCosting("b", 4);
  ScheduleCosting("c", 1);
  EXPECT_THAT(Take(), ElementsAre("a", "b"));
  EXPECT_EQ(closed_by_, ClosedBy::kFull);
  EXPECT_THAT(Take(), ElementsAre("c"));
}

TEST_F(BatchSchedulerTest, TaskBeyondTheCostBoundStillRunsAlone) {
  Configure({.max_batch_cost = 10});
  ScheduleCosting("huge", 1e12);
  ScheduleCosting("small", 1);
  EXPECT_THAT(Take(), ElementsAre("huge"));
  EXPECT_THAT(Take(), ElementsAre("small"));
}

TEST_F(BatchSchedulerTest, WithoutDelayABatchIsReadyAtOnce) {
  Schedule("a");
  EXPECT_EQ(scheduler_->ReadyTime(), clock_.Now());
}

TEST_F(BatchSchedulerTest, WaitsForCompanyNoLongerThanTheDelay) {
  Configure({.max_batch_delay = milliseconds(5)});
  Schedule("a");
  const TimePoint ready = clock_.Now() + milliseconds(5);
  EXPECT_EQ(scheduler_->ReadyTime(), ready);
  EXPECT_THAT(Take(), IsEmpty());
  clock_.Advance(milliseconds(5) - nanoseconds(1));
  Schedule("b");
  EXPECT_EQ(scheduler_->ReadyTime(), ready) << "the oldest decides";
  EXPECT_THAT(Take(), IsEmpty());
  clock_.Advance(nanoseconds(1));
  EXPECT_THAT(Take(), ElementsAre("a", "b"));
  EXPECT_EQ(closed_by_, ClosedBy::kDelay);
}

TEST_F(BatchSchedulerTest, FullBatchDoesNotWaitForTheDelay) {
  Configure({.max_batch_tasks = 2, .max_batch_delay = milliseconds(5)});
  Schedule("a");
  Schedule("b");
  EXPECT_EQ(scheduler_->ReadyTime(), clock_.Now());
  EXPECT_THAT(Take(), ElementsAre("a", "b"));
  EXPECT_EQ(closed_by_, ClosedBy::kFull);
}

TEST_F(BatchSchedulerTest, DrainingDoesNotWaitForTheDelay) {
  Configure({.max_batch_delay = milliseconds(5)});
  Schedule("a");
  scheduler_->StartDraining();
  EXPECT_EQ(scheduler_->ReadyTime(), clock_.Now());
  EXPECT_THAT(Take(), ElementsAre("a"));
  EXPECT_EQ(closed_by_, ClosedBy::kDrain);
}

TEST_F(BatchSchedulerTest, UrgentTasksGoFirst) {
  Schedule("low", Priority::kLow);
  Schedule("normal", Priority::kNormal);
  Schedule("high", Priority::kHigh);
  EXPECT_THAT(Take(), ElementsAre("high", "normal", "low"));
}

TEST_F(BatchSchedulerTest, UnspecifiedIsNormal) {
  Schedule("a", Priority::kUnspecified);
  Schedule("b", Priority::kNormal);
  Schedule("c", Priority::kUnspecified);
  EXPECT_THAT(Take(), ElementsAre("a", "b", "c"));
}

TEST_F(BatchSchedulerTest, HighOvertakesNormalUpToAHundredMsOlder) {
  Schedule("older by more", Priority::kNormal);
  clock_.Advance(nanoseconds(1));
  Schedule("older by 100 ms", Priority::kNormal);
  clock_.Advance(milliseconds(100));
  Schedule("high", Priority::kHigh);
  EXPECT_THAT(Take(), ElementsAre("older by more", "high", "older by 100 ms"));
}

TEST_F(BatchSchedulerTest, NormalOvertakesLowUpToASecondOlder) {
  Schedule("older by more", Priority::kLow);
  clock_.Advance(nanoseconds(1));
  Schedule("older by 1 s", Priority::kLow);
  clock_.Advance(milliseconds(1000));
  Schedule("normal", Priority::kNormal);
  EXPECT_THAT(Take(), ElementsAre("older by more", "normal", "older by 1 s"));
}

// A LOW task waits behind an endless stream of HIGH ones no longer than its
// delay.
TEST_F(BatchSchedulerTest, LowIsNotStarved) {
  Configure({.max_batch_tasks = 1});
  const TimePoint start = clock_.Now();
  Schedule("low", Priority::kLow);
  for (int i = 0; i < 1000; ++i) {
    Schedule("high", Priority::kHigh);
    if (Take() == Names{"low"}) break;
    clock_.Advance(milliseconds(10));
  }
  EXPECT_EQ(clock_.Now() - start, FairQueue::kLowDelay + milliseconds(10));
}

TEST_F(BatchSchedulerTest, LateTasksGoToExpiredInstead) {
  ScheduleUntil("late", milliseconds(3));
  ScheduleUntil("just late", milliseconds(5));
  ScheduleUntil("in time", milliseconds(5) + nanoseconds(1));
  clock_.Advance(milliseconds(5));
  EXPECT_THAT(Take(), ElementsAre("in time"));
  EXPECT_THAT(expired_, ElementsAre("late", "just late"));
  EXPECT_EQ(scheduler_->size(), 0);
}

TEST_F(BatchSchedulerTest, LateTasksTakeNoPlaceInTheBatch) {
  Configure({.max_batch_tasks = 2});
  ScheduleUntil("late", Duration{});
  Schedule("a");
  Schedule("b");
  EXPECT_THAT(Take(), ElementsAre("a", "b"));
  EXPECT_THAT(expired_, ElementsAre("late"));
}

TEST_F(BatchSchedulerTest, OnlyLateTasksGiveNoBatch) {
  ScheduleUntil("late", Duration{});
  EXPECT_THAT(Take(), IsEmpty());
  EXPECT_THAT(expired_, ElementsAre("late"));
  EXPECT_EQ(scheduler_->ReadyTime(), std::nullopt);
}

TEST_F(BatchSchedulerTest, RemovedTaskIsGone) {
  Schedule("a");
  const TaskPtr b = Schedule("b", Priority::kLow);
  Schedule("c");
  EXPECT_TRUE(scheduler_->Remove(b));
  EXPECT_FALSE(scheduler_->Remove(b));
  EXPECT_EQ(scheduler_->size(), 2);
  EXPECT_THAT(Take(), ElementsAre("a", "c"));
}

TEST_F(BatchSchedulerTest, TakenTaskCannotBeRemoved) {
  const TaskPtr a = Schedule("a");
  Take();
  EXPECT_FALSE(scheduler_->Remove(a));
  EXPECT_FALSE(scheduler_->Remove(MakeTask("never queued", {})));
}

TEST_F(BatchSchedulerTest, RemovedTaskCanBeScheduledAgain) {
  const TaskPtr a = Schedule("a");
  Schedule("b");
  EXPECT_TRUE(scheduler_->Remove(a));
  clock_.Advance(milliseconds(1));
  scheduler_->Schedule(a, clock_.Now());
  EXPECT_EQ(a->enqueue_time(), clock_.Now());
  EXPECT_THAT(Take(), ElementsAre("b", "a"));
}

TEST_F(BatchSchedulerTest, TakeAllEmptiesTheQueue) {
  Configure({.max_batch_tasks = 1, .max_batch_delay = milliseconds(5)});
  Schedule("low", Priority::kLow);
  Schedule("high", Priority::kHigh);
  ScheduleUntil("late", Duration{});
  EXPECT_THAT(NamesOf(scheduler_->TakeAll()),
              ElementsAre("high", "late", "low"));
  EXPECT_EQ(scheduler_->size(), 0);
  EXPECT_THAT(scheduler_->TakeAll(), IsEmpty());
}

TEST_F(BatchSchedulerTest, QueueLetsGoOfTakenTasks) {
  std::weak_ptr<Task> weak = Schedule("a");
  Take();
  EXPECT_TRUE(weak.expired());
}

using BatchSchedulerDeathTest = BatchSchedulerTest;

TEST_F(BatchSchedulerDeathTest, SchedulingTwiceIsABrokenPromise) {
  const TaskPtr task = Schedule("a");
  EXPECT_DEATH(scheduler_->Schedule(task, clock_.Now()), "CHECK failed");
}

TEST_F(BatchSchedulerTest, BatchMixesTenantsAndChargesNoneForWhatExpired) {
  Configure({.max_batch_tasks = 3});
  Tenant a("a", 1, {}), b("b", 2, {});
  const TaskFacts late{.deadline = clock_.Now(), .cost = 10, .tenant = &a};
  Schedule("late", late);
  for (const char* name : {"a1", "a2"})
    Schedule(name, {.cost = 1, .tenant = &a});
  for (const char* name : {"b1", "b2"})
    Schedule(name, {.cost = 1, .tenant = &b});
  EXPECT_THAT(Take(), ElementsAre("a1", "b1", "a2"));
  EXPECT_THAT(expired_, ElementsAre("late"));
  EXPECT_THAT(Take(), ElementsAre("b2"));
}

}  // namespace
}  // namespace attn::test
