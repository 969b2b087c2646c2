// A random mix from four threads: whatever happens, the books balance.
#include <atomic>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/random.h"
#include "tests/support/sizes.h"
#include "tests/unit/core/engine/engine_fixture.h"

namespace attn::test {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

class EngineLedgerTest : public EngineFixture {
 protected:
  EngineLedgerTest()
      : cases_{SmallCase(kPlainDim), SmallCase(kPlainDim + 1),
               SmallCase(kFailingDim), LargeCase(kPlainDim)} {}

  SubmitOptions RandomOptions(Random& random) {
    SubmitOptions options;
    options.priority = static_cast<Priority>(random.Between(0, 3));
    if (random.Chance(0.3)) {
      options.deadline =
          clock_.Now() + microseconds(random.Between(-100, 3000));
    }
    return options;
  }

  const AttentionCase& RandomCase(Random& random) {
    // The large one rarely: it is a hundred times the work.
    const int64_t last = random.Chance(0.05) ? 3 : 2;
    return cases_[static_cast<size_t>(random.Between(0, last))];
  }

  // One client's life: submit, drop, cancel, let time pass.
  void SubmitAtRandom(uint64_t seed, int64_t count) {
    Random random(seed);
    std::vector<Pending> pending;
    for (int64_t i = 0; i < count; ++i) {
      if (random.Chance(0.2)) clock_.Advance(microseconds(200));
      const AttentionCase& c = RandomCase(random);
      auto task = engine_->Prepare(c.plan, RandomOptions(random));
      if (!task.ok()) {
        ++num_refused_;
        continue;
      }
      if (random.Chance(0.05)) continue;  // Dropped.
      CopyInputs(c, **task);
      pending.emplace_back(*std::move(task));
      ++num_submitted_;
      engine_->Submit(pending.back().task(), pending.back().Done());
      if (random.Chance(0.3)) CancelOne(pending, random);
    }
    for (const Pending& p : pending) {
      p.Await();
      if (p.num_calls() != 1) ++num_wrong_calls_;
    }
  }

  void CancelOne(const std::vector<Pending>& pending, Random& random) {
    const int64_t index = random.Between(0, std::ssize(pending) - 1);
    engine_->Cancel(pending[static_cast<size_t>(index)].task());
  }

  void RunFourClients(uint64_t seed, int64_t count) {
    std::vector<std::thread> clients;
    for (uint64_t i = 0; i < 4; ++i) {
      clients.emplace_back(
          [this, seed, i, count] { SubmitAtRandom(seed + i, count); });
    }
    for (std::thread& client : clients) client.join();
  }

  const std::vector<AttentionCase> cases_;
  std::atomic<int64_t> num_submitted_{0};
  std::atomic<int64_t> num_refused_{0};
  std::atomic<int64_t> num_wrong_calls_{0};
};

TEST_F(EngineLedgerTest, BooksBalanceOverARandomMix) {
  constexpr uint64_t kSeed = 42;
  SCOPED_TRACE(testing::Message() << "seed " << kSeed);
  EngineOptions engine_options;
  engine_options.batching.max_batch_tasks = 16;
  Start(/*num_workers=*/2, engine_options);
  RunFourClients(kSeed, Scaled(2000, 200));
  AwaitIdle();
  EXPECT_EQ(num_wrong_calls_, 0);
  EXPECT_EQ(metrics_.admitted(), num_submitted_);
  for (const Outcome outcome : {Outcome::kCompleted, Outcome::kFailed,
                                Outcome::kExpired, Outcome::kCancelled}) {
    EXPECT_GT(metrics_.finished(outcome), 0) << static_cast<int>(outcome);
  }
  EXPECT_EQ(metrics_.finished(Outcome::kShed), 0);
  ExpectBalancedBooks();
  AwaitSoon([&] { return engine_->pool().leased_bytes() == 0; });
}

TEST_F(EngineLedgerTest, BooksBalanceWhenAbortedInTheMiddle) {
  constexpr uint64_t kSeed = 77;
  SCOPED_TRACE(testing::Message() << "seed " << kSeed);
  Start(/*num_workers=*/2);
  std::thread clients([&] { RunFourClients(kSeed, Scaled(1000, 150)); });
  AwaitSoon([&] { return metrics_.finished() > 100; });
  engine_->StartDraining();
  engine_->Abort();
  clients.join();
  AwaitIdle();
  EXPECT_EQ(num_wrong_calls_, 0);
  EXPECT_GT(num_refused_, 0);
  EXPECT_EQ(metrics_.admitted(), num_submitted_);
  ExpectBalancedBooks();
  AwaitSoon([&] { return engine_->pool().leased_bytes() == 0; });
}

}  // namespace
}  // namespace attn::test
