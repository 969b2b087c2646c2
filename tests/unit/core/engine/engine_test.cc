#include "core/engine/engine.h"

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/kernel_runner.h"
#include "tests/unit/core/engine/engine_fixture.h"

namespace attn::test {
namespace {

using std::chrono::milliseconds;
using testing::Each;

using EngineTest = EngineFixture;

TEST_F(EngineTest, ComputesWhatTheKernelComputes) {
  Start(/*num_workers=*/2);
  const AttentionCase large = LargeCase(kPlainDim);
  const Pending pending = Submit(large);
  EXPECT_EQ(pending.Await(), absl::StatusCode::kOk);
  EXPECT_TRUE(CopyOutputs(*pending.task()) ==
              RunKernel(large, *MakePortableTileGemm()));
  AwaitIdle();
  EXPECT_EQ(metrics_.finished(Outcome::kCompleted), 1);
  ExpectBalancedBooks();
}

TEST_F(EngineTest, WhatQueuesUpWhileWorkersAreBusyIsOneBatch) {
  Start(/*num_workers=*/1);
  const Pending held = HoldWorker();
  const Pending a = Submit(SmallCase(kPlainDim));
  const Pending b = Submit(LargeCase(kPlainDim));
  control_.Open();
  EXPECT_EQ(a.Await(), absl::StatusCode::kOk);
  EXPECT_EQ(b.Await(), absl::StatusCode::kOk);
  EXPECT_EQ(held.task()->batch_size(), 1);
  EXPECT_EQ(a.task()->batch_size(), 2);
  EXPECT_EQ(b.task()->batch_size(), 2);
  EXPECT_EQ(held.task()->batch_number(), 1);
  EXPECT_EQ(a.task()->batch_number(), 2);
  EXPECT_EQ(b.task()->batch_number(), 2);
  const std::vector<BatchFacts> batches = metrics_.batches();
  ASSERT_EQ(batches.size(), 2u);
  EXPECT_EQ(batches[1].num_tasks, 2);
  EXPECT_EQ(batches[1].num_query_tokens, 8 + 512);
  EXPECT_EQ(batches[1].closed_by, ClosedBy::kIdleWorker);
}

TEST_F(EngineTest, TimesAreThoseOfTheClock) {
  Start(/*num_workers=*/1);
  const Pending held = HoldWorker();
  const Pending queued = Submit(SmallCase(kPlainDim));
  clock_.Advance(milliseconds(30));
  control_.Open();
  held.Await();
  queued.Await();
  EXPECT_EQ(held.task()->times().queue_wait, Duration{});
  EXPECT_EQ(held.task()->times().compute, milliseconds(30));
  EXPECT_EQ(queued.task()->times().queue_wait, milliseconds(30));
  EXPECT_EQ(queued.task()->times().compute, Duration{});
}

TEST_F(EngineTest, FailingTaskFailsAlone) {
  Start(/*num_workers=*/1);
  const Pending held = HoldWorker();
  const AttentionCase good = SmallCase(kPlainDim, /*seed=*/7);
  const Pending before = Submit(good);
  const Pending bad = Submit(LargeCase(kFailingDim));
  const Pending after = Submit(good);
  control_.Open();
  EXPECT_EQ(bad.Await(), absl::StatusCode::kInternal);
  EXPECT_EQ(bad.task()->status().message(), "the computation failed")
      << "no internals in the text";
  const AttentionOutputs expected = RunKernel(good, *MakePortableTileGemm());
  for (const Pending& neighbour : {before, after}) {
    EXPECT_EQ(neighbour.Await(), absl::StatusCode::kOk);
    EXPECT_EQ(neighbour.task()->batch_size(), 3);
    EXPECT_TRUE(CopyOutputs(*neighbour.task()) == expected);
  }
  AwaitIdle();
  EXPECT_EQ(bad.num_calls(), 1);
  EXPECT_EQ(metrics_.finished(Outcome::kFailed), 1);
  EXPECT_EQ(metrics_.finished(Outcome::kCompleted), 3);
  ExpectBalancedBooks();
}

TEST_F(EngineTest, DeadlineThatPassesInTheQueueExpires) {
  Start(/*num_workers=*/1);
  const Pending held = HoldWorker();
  const Pending late = Submit(SmallCase(kPlainDim), Within(milliseconds(5)));
  const Pending timely = Submit(SmallCase(kPlainDim), Within(milliseconds(9)));
  clock_.Advance(milliseconds(5));
  control_.Open();
  EXPECT_EQ(late.Await(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(timely.Await(), absl::StatusCode::kOk);
  EXPECT_EQ(late.task()->times().queue_wait, milliseconds(5));
  AwaitIdle();
  EXPECT_EQ(metrics_.finished(Outcome::kExpired), 1);
  ExpectBalancedBooks();
}

TEST_F(EngineTest, DeadlineThatPassesBetweenWorkItemsExpires) {
  Start(/*num_workers=*/1);
  const Pending late = Submit(LargeCase(kHeldDim), Within(milliseconds(5)));
  control_.AwaitHeld(1);
  clock_.Advance(milliseconds(5));
  control_.Open();
  EXPECT_EQ(late.Await(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(control_.held(), kProductsOfAnItem)
      << "later items are not computed";
  AwaitIdle();
  ExpectBalancedBooks();
}

TEST_F(EngineTest, DeadlineThatPassesInTheLastItemIsMet) {
  Start(/*num_workers=*/1);
  const Pending pending = Submit(SmallCase(kHeldDim), Within(milliseconds(5)));
  control_.AwaitHeld(1);
  clock_.Advance(milliseconds(5));
  control_.Open();
  EXPECT_EQ(pending.Await(), absl::StatusCode::kOk) << "it is computed anyway";
}

TEST_F(EngineTest, CancelledInTheQueueEndsAtOnce) {
  Start(/*num_workers=*/1);
  const Pending held = HoldWorker();
  const Pending queued = Submit(SmallCase(kPlainDim));
  engine_->Cancel(queued.task());
  EXPECT_TRUE(queued.is_done());
  EXPECT_EQ(queued.Await(), absl::StatusCode::kCancelled);
  engine_->Cancel(queued.task());
  control_.Open();
  AwaitIdle();
  EXPECT_EQ(queued.num_calls(), 1);
  EXPECT_EQ(metrics_.finished(Outcome::kCancelled), 1);
  ExpectBalancedBooks();
}

TEST_F(EngineTest, CancelledWhileRunningEndsAtTheNextItem) {
  Start(/*num_workers=*/1);
  const Pending running = Submit(LargeCase(kHeldDim));
  control_.AwaitHeld(1);
  engine_->Cancel(running.task());
  EXPECT_FALSE(running.is_done());
  control_.Open();
  EXPECT_EQ(running.Await(), absl::StatusCode::kCancelled);
  EXPECT_EQ(control_.held(), kProductsOfAnItem);
  AwaitIdle();
  EXPECT_EQ(running.num_calls(), 1);
  ExpectBalancedBooks();
}

// In a batch, but no item of it has begun: the urgent task of the same batch
// cancels it at its own end.
TEST_F(EngineTest, CancelledInTheBatchIsNotComputed) {
  Start(/*num_workers=*/1);
  const Pending first = HoldWorker();
  const Pending large = Submit(LargeCase(kHeldDim));
  const AttentionTaskPtr urgent =
      Prepare(SmallCase(kPlainDim), {.priority = Priority::kHigh});
  engine_->Submit(urgent, [&](EngineTask&) { engine_->Cancel(large.task()); });
  control_.Open();
  EXPECT_EQ(large.Await(), absl::StatusCode::kCancelled);
  EXPECT_EQ(large.task()->batch_size(), 2);
  EXPECT_EQ(control_.held(), kProductsOfSmallCase) << "the first task's";
  AwaitIdle();
  EXPECT_EQ(large.num_calls(), 1);
  ExpectBalancedBooks();
}

TEST_F(EngineTest, CancelledBeforeSubmitIsNotComputed) {
  Start(/*num_workers=*/1);
  Pending pending(Prepare(SmallCase(kHeldDim)));
  engine_->Cancel(pending.task());
  EXPECT_FALSE(pending.is_done());
  engine_->Submit(pending.task(), pending.Done());
  EXPECT_EQ(pending.Await(), absl::StatusCode::kCancelled);
  EXPECT_EQ(control_.held(), 0);
  AwaitIdle();
  EXPECT_EQ(pending.num_calls(), 1);
  ExpectBalancedBooks();
}

TEST_F(EngineTest, CancelAfterTheEndChangesNothing) {
  Start(/*num_workers=*/1);
  const Pending pending = Submit(SmallCase(kPlainDim));
  EXPECT_EQ(pending.Await(), absl::StatusCode::kOk);
  engine_->Cancel(pending.task());
  AwaitIdle();
  EXPECT_EQ(pending.Await(), absl::StatusCode::kOk);
  EXPECT_EQ(pending.num_calls(), 1);
  EXPECT_EQ(metrics_.finished(Outcome::kCompleted), 1);
  ExpectBalancedBooks();
}

// gRPC cancels a call when its deadline passes; that is expiry, not a client
// that left.
TEST_F(EngineTest, CancelAfterTheDeadlineIsExpiry) {
  Start(/*num_workers=*/1);
  const Pending held = HoldWorker();
  const Pending late = Submit(SmallCase(kPlainDim), Within(milliseconds(5)));
  clock_.Advance(milliseconds(5));
  engine_->Cancel(late.task());
  EXPECT_EQ(late.Await(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(metrics_.finished(Outcome::kExpired), 1);
}

TEST_F(EngineTest, AbortShedsQueueAndRunningTasks) {
  Start(/*num_workers=*/1);
  const Pending running = Submit(LargeCase(kHeldDim));
  control_.AwaitHeld(1);
  const std::vector<Pending> queued = {Submit(SmallCase(kPlainDim)),
                                       Submit(LargeCase(kPlainDim))};
  engine_->Abort();
  for (const Pending& pending : queued) {
    EXPECT_TRUE(pending.is_done());
    EXPECT_EQ(pending.Await(), absl::StatusCode::kUnavailable);
    EXPECT_EQ(ReasonOf(pending.task()->status()), Reason::kDraining);
  }
  control_.Open();
  EXPECT_EQ(running.Await(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(control_.held(), kProductsOfAnItem);
  AwaitIdle();
  EXPECT_EQ(metrics_.finished(Outcome::kShed), 3);
  ExpectBalancedBooks();
}

TEST_F(EngineTest, DrainingRefusesNewTasksAndFinishesOldOnes) {
  Start(/*num_workers=*/1);
  const Pending held = HoldWorker();
  const Pending queued = Submit(SmallCase(kPlainDim));
  engine_->StartDraining();
  const auto refused = engine_->Prepare(SmallCase(kPlainDim).plan, {});
  EXPECT_EQ(ReasonOf(refused.status()), Reason::kDraining);
  EXPECT_FALSE(engine_->AwaitIdle(clock_.Now())) << "two are not done";
  control_.Open();
  AwaitIdle();
  EXPECT_EQ(held.Await(), absl::StatusCode::kOk);
  EXPECT_EQ(queued.Await(), absl::StatusCode::kOk);
  ExpectBalancedBooks();
}

TEST_F(EngineTest, TaskPreparedBeforeDrainingStillRuns) {
  Start(/*num_workers=*/1);
  Pending pending(Prepare(SmallCase(kPlainDim)));
  engine_->StartDraining();
  engine_->Submit(pending.task(), pending.Done());
  EXPECT_EQ(pending.Await(), absl::StatusCode::kOk);
}

TEST_F(EngineTest, DestructionShedsWhatIsLeft) {
  Start(/*num_workers=*/1);
  const Pending held = HoldWorker();
  const Pending queued = Submit(SmallCase(kPlainDim));
  std::thread destroyer([&] { engine_.reset(); });
  EXPECT_EQ(queued.Await(), absl::StatusCode::kUnavailable);
  control_.Open();
  destroyer.join();
  EXPECT_TRUE(held.is_done());
  EXPECT_EQ(metrics_.admitted(), metrics_.finished());
}

TEST_F(EngineTest, PreparedButDroppedTaskLeavesNoTrace) {
  Start(/*num_workers=*/1);
  {
    const AttentionTaskPtr task = Prepare(LargeCase(kPlainDim));
    EXPECT_EQ(engine_->admission().queued_tasks(), 1);
    EXPECT_GT(engine_->pool().leased_bytes(), 0);
  }
  EXPECT_EQ(engine_->pool().leased_bytes(), 0);
  EXPECT_EQ(metrics_.admitted(), 0);
  AwaitIdle();
  ExpectBalancedBooks();
}

TEST_F(EngineTest, InputsAreGivenBackAtTheEndAndTheReplyWithTheTask) {
  Start(/*num_workers=*/2);
  const AttentionCase large = LargeCase(kPlainDim);
  std::optional<Pending> pending = Submit(large);
  pending->Await();
  EXPECT_EQ(engine_->pool().leased_bytes(),
            BufferPool::ClassBytes(AttentionTask::ReplyBytes(large.plan)));
  pending.reset();
  // An idle worker keeps nothing of its last batch.
  AwaitSoon([&] { return engine_->pool().leased_bytes() == 0; });
}

TEST_F(EngineTest, ReplyOutlivesTheEngine) {
  Start(/*num_workers=*/1);
  const AttentionCase small = SmallCase(kPlainDim);
  const Pending pending = Submit(small);
  pending.Await();
  AwaitIdle();
  engine_.reset();
  EXPECT_TRUE(CopyOutputs(*pending.task()) ==
              RunKernel(small, *MakePortableTileGemm()));
}

TEST_F(EngineTest, FullPoolIsQueueFullAndLeavesNoTrace) {
  EngineOptions options;
  options.max_pool_bytes = 16384;
  Start(/*num_workers=*/1, options);
  const AttentionTaskPtr holder = Prepare(SmallCase(kPlainDim));
  const auto refused = engine_->Prepare(LargeCase(kPlainDim).plan, {});
  EXPECT_EQ(ReasonOf(refused.status()), Reason::kQueueFull);
  EXPECT_GT(RetryAfterOf(refused.status()).value(), Duration{});
  EXPECT_EQ(engine_->admission().queued_tasks(), 1);
}

TEST_F(EngineTest, RefusalsAreCountedByReason) {
  Start(/*num_workers=*/1);
  engine_->CountRefusal(QueueFull("full", milliseconds(1)));
  engine_->CountRefusal(InvalidOption("a", "b", "c"));
  EXPECT_EQ(metrics_.refused(Reason::kQueueFull), 1);
  EXPECT_EQ(metrics_.refused(Reason::kInvalidOption), 1);
  EXPECT_EQ(metrics_.admitted(), 0);
}

// Beyond every bound but the byte limit of the message, and still answered.
TEST_F(EngineTest, OversizedRequestIsSplitAndNotRefused) {
  EngineOptions options;
  options.admission.max_queue_bytes = 1;
  options.batching.max_batch_cost = 1;
  Start(/*num_workers=*/2, options);
  const AttentionCase large = LargeCase(kHeldDim);
  const Pending pending = Submit(large);
  control_.AwaitHeld(2);  // Both workers are at it, so it is two items or more.
  control_.Open();
  EXPECT_EQ(pending.Await(), absl::StatusCode::kOk);
  EXPECT_TRUE(CopyOutputs(*pending.task()) ==
              RunKernel(large, *MakePortableTileGemm()));
}

TEST_F(EngineTest, UrgentTaskOvertakesInsideABatch) {
  Start(/*num_workers=*/1);
  const Pending first = HoldWorker();
  const Pending large = Submit(LargeCase(kHeldDim));
  const AttentionTaskPtr urgent =
      Prepare(SmallCase(kPlainDim), {.priority = Priority::kHigh});
  int64_t held_before = 0;
  engine_->Submit(urgent, [&](EngineTask&) { held_before = control_.held(); });
  control_.Open();
  large.Await();
  EXPECT_EQ(large.task()->batch_size(), 2);
  EXPECT_EQ(held_before, kProductsOfSmallCase)
      << "no product of the large one came before";
}

TEST_F(EngineTest, RequestsWithoutWorkEndAsAllOthers) {
  Start(/*num_workers=*/1);
  CaseOptions options;
  options.q_len = 0;
  EXPECT_EQ(Submit(MakeCase(options)).Await(), absl::StatusCode::kOk);
  options.q_len = 3;
  options.kv_len = 0;
  options.output.return_lse = true;
  const Pending no_keys = Submit(MakeCase(options));
  EXPECT_EQ(no_keys.Await(), absl::StatusCode::kOk);
  const AttentionOutputs outputs = CopyOutputs(*no_keys.task());
  EXPECT_THAT(ToFloats(DataType::kF32, outputs.output), Each(0.0f));
  EXPECT_THAT(ToFloats(DataType::kF32, outputs.lse), Each(-INFINITY));
  AwaitIdle();
  ExpectBalancedBooks();
}

TEST_F(EngineTest, KindFollowsTheNumberOfQueryRows) {
  Start(/*num_workers=*/1);
  CaseOptions options;
  for (const int64_t q_len : {1, 8, 9}) {
    options.q_len = q_len;
    Submit(MakeCase(options)).Await();
  }
  EXPECT_EQ(metrics_.finished(TaskKind::kDecode), 2);
  EXPECT_EQ(metrics_.finished(TaskKind::kPrefill), 1);
}

}  // namespace
}  // namespace attn::test
