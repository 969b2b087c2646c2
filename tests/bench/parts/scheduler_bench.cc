// The queue: some tasks in, all of them out again as one batch.
#include <memory>
#include <vector>

#include "core/base/check.h"
#include "core/batching/batch_scheduler.h"
#include "tests/bench/parts/counters.h"
#include "tests/support/random.h"

namespace attn::bench {
namespace {

// Of random priorities and costs.
std::vector<TaskPtr> MakeTasks(int64_t n) {
  test::Random random(1);
  std::vector<TaskPtr> tasks;
  for (int64_t i = 0; i < n; ++i) {
    TaskFacts facts;
    facts.priority = static_cast<Priority>(random.Between(1, 3));
    facts.bytes = random.Between(1 << 10, 1 << 20);
    facts.cost = 1e6 * random.Uniform();
    tasks.push_back(std::make_shared<Task>(facts));
  }
  return tasks;
}

void SchedulerScheduleAndTake(benchmark::State& state) {
  const int64_t num_tasks = state.range(0);
  const std::vector<TaskPtr> tasks = MakeTasks(num_tasks);
  BatchScheduler scheduler({});
  std::vector<TaskPtr> expired;
  TimePoint now{};
  while (state.KeepRunning()) {
    for (const TaskPtr& task : tasks) {
      now += std::chrono::microseconds(1);
      scheduler.Schedule(task, now);
    }
    const auto batch = scheduler.TakeBatch(now, expired);
    ATTN_CHECK(batch.has_value() && batch->tasks.size() == tasks.size());
  }
  CountItems(state, num_tasks);
}

BENCHMARK(SchedulerScheduleAndTake)->ArgName("tasks")->Arg(1)->Arg(64);

}  // namespace
}  // namespace attn::bench
