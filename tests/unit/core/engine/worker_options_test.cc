// Workers that are pinned, and that spin before they sleep, compute as others
// do and end when they are told to.
#include <chrono>
#include <thread>

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
