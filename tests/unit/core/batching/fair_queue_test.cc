#include "core/batching/fair_queue.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/fake_clock.h"
#include "tests/unit/core/batching/simple_task.h"

namespace attn::test {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::IsEmpty;
using Names = std::vector<std::string>;

class FairQueueTest : public testing::Test {
 protected:
  TaskPtr Add(const std::string& name, Tenant* tenant, double cost = 1,
              Priority priority = Priority::kNormal) {
    TaskFacts facts;
    facts.tenant = tenant;
    facts.cost = cost;
    facts.priority = priority;
    TaskPtr task = MakeTask(name, facts);
    queue_.Add(task, clock_.Now());
    return task;
  }
  void AddMany(int64_t n, const std::string& name, Tenant* tenant,
               double cost = 1) {
    for (int64_t i = 0; i < n; ++i) Add(name, tenant, cost);
  }
  // The next n, or all.
  Names Take(int64_t n = 100) {
    std::vector<TaskPtr> tasks;
    while (n-- > 0 && queue_.Next() != nullptr) {
      const Task* next = queue_.Next();
      tasks.push_back(queue_.TakeNext());
      EXPECT_EQ(tasks.back().get(), next);
    }
    return NamesOf(tasks);
  }

  FakeClock clock_;
  Tenant a_{"a", 1, {}};
  Tenant b_{"b", 2, {}};
  Tenant heavy_{"heavy", 3, {.weight = 3}};
  FairQueue queue_;
};

TEST_F(FairQueueTest, EmptyQueueHasNothing) {
  EXPECT_EQ(queue_.Next(), nullptr);
  EXPECT_EQ(queue_.oldest(), std::nullopt);
  EXPECT_EQ(queue_.size(), 0);
}

TEST_F(FairQueueTest, OneCallDoesNotWaitForAnothersThousand) {
  AddMany(1000, "a", &a_, 100);
  EXPECT_THAT(Take(2), ElementsAre("a", "a"));
  Add("b", &b_, 1);
  EXPECT_THAT(Take(3), ElementsAre("b", "a", "a"));
  EXPECT_EQ(queue_.size(), 996);
}

TEST_F(FairQueueTest, TenantsTakeTurnsByCost) {
  AddMany(4, "a", &a_, 2);
  AddMany(4, "b", &b_, 1);
  EXPECT_THAT(Take(), ElementsAre("a", "b", "b", "a", "b", "b", "a", "a"));
}

TEST_F(FairQueueTest, WeightsDivideTheCost) {
  AddMany(8, "a", &a_);
  AddMany(8, "h", &heavy_);
  EXPECT_THAT(Take(8), ElementsAre("a", "h", "h", "h", "a", "h", "h", "h"));
}

TEST_F(FairQueueTest, TasksOfNoTenantShareOneTurn) {
  AddMany(3, "x", nullptr);
  AddMany(3, "a", &a_);
  EXPECT_THAT(Take(), ElementsAre("x", "a", "x", "a", "x", "a"));
}

TEST_F(FairQueueTest, TasksWithoutCostTakeTurns) {
  AddMany(2, "a", &a_, 0);
  AddMany(2, "b", &b_, 0);
  EXPECT_THAT(Take(), ElementsAre("a", "b", "a", "b"));
}

TEST_F(FairQueueTest, WhoWasIdleIsOwedNothing) {
  AddMany(20, "a", &a_);
  EXPECT_EQ(Take(10).size(), 10u);
  AddMany(4, "b", &b_);
  EXPECT_THAT(Take(6), ElementsAre("b", "a", "b", "a", "b", "a"));
}

TEST_F(FairQueueTest, WhoComesBackAtOnceHasGainedNothing) {
  Add("a", &a_, 5);
  AddMany(6, "b", &b_);
  EXPECT_THAT(Take(2), ElementsAre("a", "b"));
  Add("a", &a_, 5);
  EXPECT_THAT(Take(6), ElementsAre("b", "b", "b", "b", "a", "b"));
}

TEST_F(FairQueueTest, EmptyQueueEndsAllAccounts) {
  Add("a", &a_, 1000);
  EXPECT_THAT(Take(), ElementsAre("a"));
  AddMany(2, "b", &b_);
  AddMany(2, "a", &a_);
  EXPECT_THAT(Take(), ElementsAre("b", "a", "b", "a"));
}

TEST_F(FairQueueTest, DroppedTaskCostsNothing) {
  AddMany(3, "a", &a_, 10);
  AddMany(3, "b", &b_, 10);
  EXPECT_EQ(NamesOf({queue_.DropNext()}), Names{"a"});
  EXPECT_THAT(Take(), ElementsAre("a", "b", "a", "b", "b"));
}

TEST_F(FairQueueTest, RemovedTasksLeaveNoTurnBehind) {
  const TaskPtr gone = Add("a", &a_);
  AddMany(2, "b", &b_);
  EXPECT_TRUE(queue_.Remove(gone));
  EXPECT_FALSE(queue_.Remove(gone));
  EXPECT_EQ(queue_.size(), 2);
  EXPECT_THAT(Take(1), ElementsAre("b"));
  Add("a", &a_);
  EXPECT_THAT(Take(), ElementsAre("a", "b"));
  const TaskPtr last = Add("a", &a_);
  EXPECT_TRUE(queue_.Remove(last));
  EXPECT_EQ(queue_.Next(), nullptr);
  EXPECT_EQ(queue_.oldest(), std::nullopt);
  EXPECT_THAT(Take(), IsEmpty());
}

TEST_F(FairQueueTest, PriorityCountsWithinItsTenant) {
  for (int i = 0; i < 3; ++i) Add("a!", &a_, 1, Priority::kHigh);
  Add("b-", &b_, 1, Priority::kLow);
  Add("b!", &b_, 1, Priority::kHigh);
  EXPECT_THAT(Take(), ElementsAre("a!", "b!", "a!", "b-", "a!"));
}

TEST_F(FairQueueTest, OldestIsOverAllTenants) {
  const TimePoint start = clock_.Now();
  Add("b", &b_);
  clock_.Advance(milliseconds(1));
  Add("a", &a_);
  EXPECT_EQ(queue_.oldest(), start);
  EXPECT_THAT(Take(1), ElementsAre("b"));
  EXPECT_EQ(queue_.oldest(), start + milliseconds(1));
}

}  // namespace
}  // namespace attn::test
