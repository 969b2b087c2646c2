#include "core/engine/active_batch.h"

#include <memory>
#include <set>
#include <thread>
#include <vector>

#include "core/engine/task_cost.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/attention_case.h"

namespace attn::test {
namespace {

using testing::IsNull;

// A task of the given size without memory for its tensors.
TaskPtr MakeTask(const CaseOptions& options,
                 Priority priority = Priority::kNormal) {
  const AttentionPlan plan = MakeCase(options).plan;
  TaskFacts facts;
  facts.priority = priority;
  facts.cost = EstimateCost(plan);
  return std::make_shared<AttentionTask>(plan, facts, AdmissionTicket(),
                                         AttentionTask::Buffers());
}

CaseOptions Sized(int64_t length) {
  CaseOptions options;
  options.q_len = options.kv_len = length;
  return options;
}

std::unique_ptr<ActiveBatch> MakeBatch(TaskList tasks) {
  auto batch = std::make_unique<ActiveBatch>();
  batch->Fill({.tasks = std::move(tasks)});
  return batch;
}

// The items' units of the task, in order, must be 0..num_units once each.
void ExpectCovered(const ActiveBatch& batch, const AttentionTask& task) {
  std::multiset<int64_t> units;
  for (const WorkItem& item : batch.items()) {
    if (item.task != &task) continue;
    for (int64_t u = item.first_unit; u < item.last_unit; ++u) units.insert(u);
  }
  ASSERT_EQ(std::ssize(units), task.num_units());
  ASSERT_EQ(std::ssize(std::set<int64_t>(units.begin(), units.end())),
            task.num_units());
}

TEST(ActiveBatchTest, SmallTaskIsOneItem) {
  const auto batch = MakeBatch({MakeTask(Sized(8))});
  ASSERT_EQ(batch->items().size(), 1u);
  EXPECT_EQ(batch->items()[0].first_unit, 0);
  EXPECT_EQ(batch->items()[0].last_unit, 2) << "one unit a head";
}

TEST(ActiveBatchTest, EveryUnitIsInExactlyOneItem) {
  for (const int64_t length : {1, 8, 300, 700, 1500}) {
    for (const int64_t heads : {1, 3, 7}) {
      CaseOptions options = Sized(length);
      options.num_q_heads = options.num_kv_heads = heads;
      const TaskPtr task = MakeTask(options);
      ExpectCovered(*MakeBatch({task}),
                    static_cast<const AttentionTask&>(*task));
    }
  }
}

TEST(ActiveBatchTest, LargeTaskIsCutIntoItemsThatAddUpToIt) {
  CaseOptions options = Sized(1500);
  options.num_q_heads = options.num_kv_heads = 8;
  const TaskPtr task = MakeTask(options);
  const auto batch = MakeBatch({task});
  EXPECT_GT(batch->items().size(), 8u);
  double sum = 0;
  for (const WorkItem& item : batch->items()) sum += item.cost;
  EXPECT_NEAR(sum, task->facts().cost, 1e-6 * sum);
}

TEST(ActiveBatchTest, TaskWithoutUnitsGetsAnEmptyItem) {
  CaseOptions options;
  options.q_len = 0;
  const auto batch = MakeBatch({MakeTask(options)});
  ASSERT_EQ(batch->items().size(), 1u);
  EXPECT_EQ(batch->items()[0].first_unit, batch->items()[0].last_unit);
}

TEST(ActiveBatchTest, UrgentItemsComeFirstThenLargeOnes) {
  const TaskPtr small = MakeTask(Sized(8), Priority::kUnspecified);
  const TaskPtr large = MakeTask(Sized(150), Priority::kNormal);
  const TaskPtr low = MakeTask(Sized(180), Priority::kLow);
  const TaskPtr high = MakeTask(Sized(4), Priority::kHigh);
  const auto batch = MakeBatch({low, small, large, high});
  std::vector<Task*> order;
  while (const WorkItem* item = batch->Claim()) order.push_back(item->task);
  EXPECT_THAT(order, testing::ElementsAre(high.get(), large.get(), small.get(),
                                          low.get()));
}

TEST(ActiveBatchTest, ClaimEndsAndStaysEnded) {
  const auto batch = MakeBatch({MakeTask(Sized(8))});
  EXPECT_TRUE(batch->HasUnclaimed());
  EXPECT_NE(batch->Claim(), nullptr);
  EXPECT_FALSE(batch->HasUnclaimed());
  EXPECT_THAT(batch->Claim(), IsNull());
  EXPECT_THAT(batch->Claim(), IsNull());
}

TEST(ActiveBatchTest, ClearedBatchHoldsNoTaskAndTakesOthers) {
  const TaskPtr first = MakeTask(Sized(200));
  const auto batch = MakeBatch({first});
  while (batch->Claim() != nullptr) continue;
  batch->Clear();
  EXPECT_EQ(first.use_count(), 1);
  EXPECT_FALSE(batch->HasUnclaimed());
  const TaskPtr second = MakeTask(Sized(8));
  batch->Fill({.tasks = {second}});
  ASSERT_EQ(batch->items().size(), 1u);
  EXPECT_EQ(batch->Claim()->task, second.get());
}

TEST(ActiveBatchTest, ConcurrentClaimsAreDisjoint) {
  TaskList tasks;
  for (int i = 0; i < 1000; ++i) tasks.push_back(MakeTask(Sized(1)));
  const auto batch = MakeBatch(tasks);
  std::vector<const WorkItem*> claimed[2];
  std::vector<std::thread> threads;
  for (auto& mine : claimed) {
    threads.emplace_back([&] {
      while (const WorkItem* item = batch->Claim()) mine.push_back(item);
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::set<const WorkItem*> all(claimed[0].begin(), claimed[0].end());
  all.insert(claimed[1].begin(), claimed[1].end());
  EXPECT_EQ(claimed[0].size() + claimed[1].size(), 1000u);
  EXPECT_EQ(all.size(), 1000u);
}

}  // namespace
}  // namespace attn::test
