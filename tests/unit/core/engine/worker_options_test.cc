// Workers that are pinned, and that spin before they sleep, compute as others
// do and end when they are told to.
#include <sched.h>

#include <chrono>
#include <thread>

#include "absl/synchronization/notification.h"
#include "core/base/check.h"
#include "gtest/gtest.h"
#include "tests/support/engine_runner.h"

namespace attn::test {
namespace {

void ExpectSameAnswers(const EngineOptions& options) {
  CaseOptions sizes;
  sizes.q_len = sizes.kv_len = 40;
  const AttentionCase made = MakeCase(sizes);
  EngineRunner plain(/*num_workers=*/2);
  EngineRunner other(/*num_workers=*/2, options);
  const AttentionOutputs expected = plain.RunOne(made);
  for (int i = 0; i < 50; ++i) {
    const auto answers = other.Run({&made, &made, &made});
    for (const auto& answer : answers) {
      ASSERT_TRUE(answer.ok());
      EXPECT_TRUE(*answer == expected);
    }
    // Now and then they fall asleep in between.
    if (i % 10 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(3));
  }
}

// CPUs that this thread may run on.
int NumCpus() {
  cpu_set_t allowed;
  ATTN_CHECK(sched_getaffinity(0, sizeof(allowed), &allowed) == 0);
  return CPU_COUNT(&allowed);
}

// CPUs that the worker may run on that ends a task.
int NumCpusOfWorker(bool pins_workers) {
  EngineOptions options;
  options.pins_workers = pins_workers;
  EngineRunner runner(/*num_workers=*/1, options);
  const AttentionCase made = MakeCase({});
  auto task = runner.engine().Prepare(made.plan, {});
  ATTN_CHECK(task.ok());
  CopyInputs(made, **task);
  absl::Notification done;
  int num_cpus = 0;
  runner.engine().Submit(*task, [&](EngineTask&) {
    num_cpus = NumCpus();
    done.Notify();
  });
  done.WaitForNotification();
  return num_cpus;
}

TEST(WorkerOptionsTest, PinnedWorkersHaveOneCpuAndOthersAll) {
  EXPECT_EQ(NumCpusOfWorker(true), 1);
  EXPECT_EQ(NumCpusOfWorker(false), NumCpus());
}

TEST(WorkerOptionsTest, PinnedWorkersAnswer) {
  EngineOptions options;
  options.pins_workers = true;
  ExpectSameAnswers(options);
}

TEST(WorkerOptionsTest, SpinningWorkersAnswer) {
  EngineOptions options;
  options.max_spin = std::chrono::milliseconds(1);
  ExpectSameAnswers(options);
}

}  // namespace
}  // namespace attn::test
