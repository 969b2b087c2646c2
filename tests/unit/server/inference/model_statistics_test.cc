#include "server/inference/model_statistics.h"

#include <chrono>

#include "absl/synchronization/blocking_counter.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/engine_runner.h"

namespace attn::test {
namespace {

using std::chrono::microseconds;

class ModelStatisticsTest : public testing::Test {
 protected:
  // Tasks of `count` requests of two sequences each, computed as one batch.
  std::vector<AttentionTaskPtr> RunTogether(int count) {
    std::vector<AttentionTaskPtr> tasks;
    std::vector<Engine::Submission> submissions;
    absl::BlockingCounter left(count);
    CaseOptions options;
    options.batch_size = 2;
    const AttentionCase c = MakeCase(options);
    for (int i = 0; i < count; ++i) {
      AttentionTaskPtr task = *runner_.engine().Prepare(c.plan, {});
      CopyInputs(c, *task);
      tasks.push_back(task);
      submissions.push_back(
          {task, [&left](EngineTask&) { left.DecrementCount(); }});
    }
    runner_.engine().SubmitTogether(std::move(submissions));
    left.Wait();
    return tasks;
  }

  void Succeed(const AttentionTaskPtr& task) {
    statistics_.Succeeded("attention",
                          {.task = task, .receive_time = microseconds(7)},
                          /*total=*/microseconds(100),
                          /*encode=*/microseconds(3));
  }

  EngineRunner runner_{/*num_workers=*/1};
  ModelStatistics statistics_;
};

TEST_F(ModelStatisticsTest, NothingAtFirst) {
  const auto read = statistics_.Read("attention_kv");
  EXPECT_EQ(read.name(), "attention_kv");
  EXPECT_EQ(read.version(), "1");
  EXPECT_EQ(read.last_inference(), 0u);
  EXPECT_TRUE(read.inference_stats().has_queue());
  EXPECT_EQ(read.inference_stats().success().count(), 0u);
  EXPECT_EQ(read.batch_stats_size(), 0);
}

TEST_F(ModelStatisticsTest, RequestsOfOneBatchAreOneExecution) {
  for (const auto& task : RunTogether(3)) Succeed(task);
  for (const auto& task : RunTogether(1)) Succeed(task);
  const auto read = statistics_.Read("attention");
  EXPECT_EQ(read.inference_count(), 8u) << "4 requests of 2 sequences";
  EXPECT_EQ(read.execution_count(), 2u);
  ASSERT_EQ(read.batch_stats_size(), 2);
  EXPECT_EQ(read.batch_stats(0).batch_size(), 1u);
  EXPECT_EQ(read.batch_stats(0).compute_infer().count(), 1u);
  EXPECT_EQ(read.batch_stats(1).batch_size(), 3u);
  EXPECT_EQ(read.batch_stats(1).compute_infer().count(), 3u);
  EXPECT_GT(read.last_inference(), uint64_t{1700000000000});
}

TEST_F(ModelStatisticsTest, TimesAddUp) {
  const auto tasks = RunTogether(2);
  int64_t compute = 0;
  int64_t queue = 0;
  for (const auto& task : tasks) {
    Succeed(task);
    compute += task->times().compute.count();
    queue += task->times().queue_wait.count();
  }
  const auto stats = statistics_.Read("attention").inference_stats();
  EXPECT_EQ(stats.success().count(), 2u);
  EXPECT_EQ(stats.success().ns(), 200000u);
  EXPECT_EQ(stats.queue().count(), 2u);
  EXPECT_EQ(stats.queue().ns(), static_cast<uint64_t>(queue));
  EXPECT_EQ(stats.compute_input().ns(), 14000u);
  EXPECT_EQ(stats.compute_infer().ns(), static_cast<uint64_t>(compute));
  EXPECT_EQ(stats.compute_output().ns(), 6000u);
}

TEST_F(ModelStatisticsTest, FailuresCountForThemselves) {
  statistics_.Failed("attention_kv", microseconds(5));
  const auto read = statistics_.Read("attention_kv");
  EXPECT_EQ(read.inference_stats().fail().count(), 1u);
  EXPECT_EQ(read.inference_stats().fail().ns(), 5000u);
  EXPECT_EQ(read.inference_stats().queue().count(), 0u);
  EXPECT_EQ(read.inference_count(), 0u);
  EXPECT_GT(read.last_inference(), 0u);
  EXPECT_EQ(statistics_.Read("attention").last_inference(), 0u);
}

}  // namespace
}  // namespace attn::test
