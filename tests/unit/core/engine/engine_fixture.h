// An engine under a test's control: clock, metrics and matrix library are
// fakes.
#pragma once

#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "absl/synchronization/notification.h"
#include "core/engine/engine.h"
#include "gtest/gtest.h"
#include "tests/support/attention_case.h"
#include "tests/support/engine_runner.h"
#include "tests/support/fake_clock.h"
#include "tests/support/recording_metrics.h"
#include "tests/unit/core/engine/controlled_tile_gemm.h"

namespace attn::test {

// A submitted task and the news of its end.
class Pending {
 public:
  explicit Pending(AttentionTaskPtr task) : task_(std::move(task)) {}

  Engine::Done Done() {
    return [news = news_](EngineTask&) {
      if (news->num_calls.fetch_add(1) == 0) news->first_call.Notify();
    };
  }

  bool is_done() const { return news_->first_call.HasBeenNotified(); }
  int num_calls() const { return news_->num_calls; }

  // Waits for the end.
  absl::StatusCode Await() const {
    news_->first_call.WaitForNotification();
    return task_->status().code();
  }
  const AttentionTaskPtr& task() const { return task_; }

 private:
  struct News {
    absl::Notification first_call;
    std::atomic<int> num_calls{0};
  };

  AttentionTaskPtr task_;
  // Shared with the callback, which may come when the test is over.
  std::shared_ptr<News> news_ = std::make_shared<News>();
};

// A small decode step, with just enough heads for the matrix library: one work
// item, two products for each of the two KV heads.
inline constexpr int64_t kProductsOfSmallCase = 2;
inline AttentionCase SmallCase(int64_t head_dim, uint64_t seed = 1) {
  CaseOptions options;
  options.num_q_heads = 6;
  options.head_dim = head_dim;
  options.seed = seed;
  return MakeCase(options);
}

// A prefill of four work items, one for each half of each head; a product for
// each of the two tiles of keys.
inline constexpr int64_t kProductsOfAnItem = 2;
inline AttentionCase LargeCase(int64_t head_dim) {
  CaseOptions options;
  options.q_len = options.kv_len = 512;
  options.head_dim = head_dim;
  return MakeCase(options);
}

// Waits for what happens soon on another thread without being signalled.
template <typename Condition>
void AwaitSoon(const Condition& condition) {
  while (!condition()) std::this_thread::yield();
}

class EngineFixture : public testing::Test {
 protected:
  ~EngineFixture() override { control_.Open(); }

  void Start(int num_workers, EngineOptions options = {}) {
    options.num_workers = num_workers;
    options.admission.num_workers = num_workers;
    engine_.emplace(options, std::make_unique<ControlledTileGemm>(control_),
                    clock_, metrics_);
  }

  AttentionTaskPtr Prepare(const AttentionCase& c,
                           const SubmitOptions& options = {}) {
    auto task = engine_->Prepare(c.plan, options);
    EXPECT_TRUE(task.ok()) << task.status();
    CopyInputs(c, **task);
    return *std::move(task);
  }

  Pending Submit(const AttentionCase& c, const SubmitOptions& options = {}) {
    Pending pending(Prepare(c, options));
    engine_->Submit(pending.task(), pending.Done());
    return pending;
  }

  // A deadline this far ahead.
  SubmitOptions Within(Duration time_left) {
    return {.deadline = clock_.Now() + time_left};
  }

  // Occupies the only worker until the gate opens.
  Pending HoldWorker() {
    Pending pending = Submit(SmallCase(kHeldDim));
    control_.AwaitHeld(1);
    return pending;
  }

  void AwaitIdle() { ASSERT_TRUE(engine_->AwaitIdle(kNoDeadline)); }

  // Every admitted task ended in exactly one way, and nothing is left.
  void ExpectBalancedBooks() {
    EXPECT_EQ(metrics_.admitted(), metrics_.finished());
    EXPECT_EQ(metrics_.finished(TaskKind::kPrefill) +
                  metrics_.finished(TaskKind::kDecode),
              metrics_.finished());
    EXPECT_EQ(metrics_.shed(Reason::kDraining),
              metrics_.finished(Outcome::kShed));
    EXPECT_EQ(metrics_.queue_depth(), 0);
    EXPECT_EQ(metrics_.queue_bytes(), 0);
    EXPECT_EQ(metrics_.inflight_bytes(), 0);
    EXPECT_EQ(engine_->admission().queued_tasks(), 0);
    EXPECT_EQ(engine_->admission().bytes(), 0);
    AwaitSoon([&] { return metrics_.workers_busy() == 0; });
  }

  FakeClock clock_;
  RecordingMetrics metrics_;
  GemmControl control_;
  std::optional<Engine> engine_;
};

}  // namespace attn::test
