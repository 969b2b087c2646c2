#include "core/engine/attention_task.h"

#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/attention_case.h"
#include "tests/support/engine_runner.h"
#include "tests/support/kernel_runner.h"

namespace attn::test {
namespace {

AttentionTaskPtr MakeTask(const AttentionCase& c, BufferPool& pool) {
  AttentionTask::Buffers buffers;
  buffers.inputs = pool.Lease(AttentionTask::InputBytes(c.plan)).value();
  buffers.reply = pool.Lease(AttentionTask::ReplyBytes(c.plan)).value();
  return std::make_shared<AttentionTask>(c.plan, TaskFacts(), AdmissionTicket(),
                                         std::move(buffers));
}

CaseOptions WithEverything() {
  CaseOptions options;
  options.batch_size = 2;
  options.num_q_heads = 6;
  options.q_len = 75;
  options.kv_len = 33;
  options.head_dim = 5;
  options.value_head_dim = 7;
  options.has_mask = true;
  options.mask_dims = {75, 33};
  options.output.return_lse = true;
  options.output.weights = WeightsMode::kProbabilities;
  return options;
}

bool IsAligned(const std::byte* data) {
  return reinterpret_cast<uintptr_t>(data) % kBufferAlignment == 0;
}

TEST(AttentionTaskTest, TensorsLieApartAndAligned) {
  BufferPool pool(int64_t{1} << 26);
  const AttentionCase c = MakeCase(WithEverything());
  const AttentionTaskPtr task = MakeTask(c, pool);
  for (const std::byte* data :
       {task->query(), task->key(), task->value(), task->mask()}) {
    EXPECT_TRUE(IsAligned(data));
  }
  EXPECT_GE(task->key() - task->query(), c.plan.query_bytes);
  EXPECT_GE(task->value() - task->key(), c.plan.key_bytes);
  EXPECT_GE(task->mask() - task->value(), c.plan.value_bytes);
  EXPECT_LE(task->mask() + c.plan.mask_bytes - task->query(),
            AttentionTask::InputBytes(c.plan));
  EXPECT_GE(task->lse() - task->output(), c.plan.output_bytes);
  EXPECT_GE(task->weights() - task->lse(), c.plan.lse_bytes);
  EXPECT_LE(task->weights() + c.plan.weights_bytes - task->output(),
            AttentionTask::ReplyBytes(c.plan));
}

TEST(AttentionTaskTest, PartsOfNoBytesAreNull) {
  BufferPool pool(int64_t{1} << 20);
  CaseOptions options;
  options.kv_len = 0;
  const AttentionTaskPtr task = MakeTask(MakeCase(options), pool);
  EXPECT_EQ(task->key(), nullptr);
  EXPECT_EQ(task->mask(), nullptr);
  EXPECT_EQ(task->lse(), nullptr);
  EXPECT_EQ(task->weights(), nullptr);
  EXPECT_NE(task->output(), nullptr);
}

TEST(AttentionTaskTest, UnitsTogetherAreTheKernelsResult) {
  BufferPool pool(int64_t{1} << 26);
  const AttentionCase c = MakeCase(WithEverything());
  const AttentionTaskPtr task = MakeTask(c, pool);
  CopyInputs(c, *task);
  ScratchArena arena;
  // Any order.
  for (int64_t unit = task->num_units(); unit-- > 0;) {
    ASSERT_TRUE(task->RunUnit(unit, DefaultGemm(), arena).ok());
  }
  EXPECT_TRUE(CopyOutputs(*task) == RunKernel(c, DefaultGemm()));
}

TEST(AttentionTaskTest, NoQueryRowsAreNoUnitsWhateverTheHeads) {
  BufferPool pool(int64_t{1} << 20);
  CaseOptions options;
  options.q_len = 0;
  options.num_q_heads = int64_t{1} << 40;
  EXPECT_EQ(MakeTask(MakeCase(options), pool)->num_units(), 0);
}

TEST(VerdictTest, FirstOneStays) {
  Verdict verdict;
  EXPECT_FALSE(verdict.is_decided());
  EXPECT_TRUE(verdict.Decide(Outcome::kCompleted));
  EXPECT_TRUE(verdict.is_decided());
  EXPECT_FALSE(verdict.Decide(Outcome::kCancelled));
  EXPECT_EQ(verdict.outcome(), Outcome::kCompleted);
}

TEST(VerdictTest, OneOfTwoThreadsDecides) {
  for (int i = 0; i < 200; ++i) {
    Verdict verdict;
    bool first_won = false;
    std::thread other([&] { first_won = verdict.Decide(Outcome::kExpired); });
    const bool second_won = verdict.Decide(Outcome::kFailed);
    other.join();
    ASSERT_NE(first_won, second_won);
    ASSERT_EQ(verdict.outcome(),
              first_won ? Outcome::kExpired : Outcome::kFailed);
  }
}

}  // namespace
}  // namespace attn::test
