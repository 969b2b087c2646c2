// Sixteen threads on one store: what each appends to its own layers stays as it
// was written, forks are of one moment, and nothing is left in the end. For
// ThreadSanitizer.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "core/base/error.h"
#include "core/kv_cache/session_store.h"
#include "gtest/gtest.h"
#include "tests/support/fake_clock.h"
#include "tests/support/kv_tokens.h"
#include "tests/support/random.h"
#include "tests/support/recording_session_metrics.h"
#include "tests/support/sizes.h"

namespace attn::test {
namespace {

using std::chrono::minutes;

constexpr int kThreads = 16;
constexpr KvSpec kSpec{.num_layers = 4,
                       .num_kv_heads = 1,
                       .head_dim = 3,
                       .value_head_dim = 2,
                       .kv_dtype = KvDtype::kF32};
constexpr KvSpec kInt8Spec{.num_layers = 4,
                           .num_kv_heads = 1,
                           .head_dim = 3,
                           .value_head_dim = 2,
                           .kv_dtype = KvDtype::kInt8};

class KvThreadsTest : public testing::Test {
 protected:
  ~KvThreadsTest() override {
    clock_.Advance(std::chrono::hours(2));
    store_.Sweep();
    EXPECT_EQ(store_.size(), 0);
    EXPECT_EQ(pool_.used_bytes(), 0);
    EXPECT_EQ(pool_.shared_bytes(), 0);
    for (const Tenant* tenant : {&bounded_, &free_}) {
      EXPECT_EQ(tenant->sessions(), 0);
      EXPECT_EQ(tenant->kv_bytes(), 0);
    }
  }

  template <typename Work>
  void InThreads(const Work& work) {
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i) threads.emplace_back(work, i);
    for (std::thread& thread : threads) thread.join();
  }

  uint64_t bits_ = 0;
  // One that meets its quotas and one that meets the pool's bound.
  Tenant bounded_{"a", 1, {.max_kv_bytes = 100'000, .max_sessions = 5}};
  Tenant free_{"b", 2, {}};
  // For slabs of both forms of pages.
  PagePool pool_{int64_t{5} << 20};
  FakeClock clock_;
  RecordingSessionMetrics metrics_;
  SessionStore store_{{.max_sessions = 24},
                      {pool_, clock_, metrics_, [this] { return ++bits_; }}};
};

// Token i of every session is i, so that each fork and each snapshot, of
// whatever moment, can be checked by its length alone.
class Worker {
 public:
  Worker(SessionStore& store, Tenant& tenant, FakeClock& clock, int number)
      : store_(store),
        tenant_(tenant),
        clock_(clock),
        random_(static_cast<uint64_t>(number)) {}

  void Step() {
    const std::string id(1, "abcdefgh"[random_.Between(0, 7)]);
    const double choice = random_.Uniform();
    if (choice < 0.05) {
      store_.Create(tenant_, id, random_.Chance(0.5) ? kSpec : kInt8Spec)
          .IgnoreError();
    } else if (choice < 0.10) {
      store_.Delete(tenant_, id).IgnoreError();
    } else if (choice < 0.15) {
      const std::string source(1, "abcdefgh"[random_.Between(0, 7)]);
      store_.Fork(tenant_, source, id, std::nullopt).IgnoreError();
    } else if (choice < 0.17) {
      clock_.Advance(minutes(1));
      store_.Sweep();
    } else if (choice < 0.20) {
      for (const SessionPtr& session : store_.List(tenant_, "", 4)) {
        EXPECT_EQ(session->MeasureUsage().layer_lengths.size(), 4u);
        EXPECT_EQ(&session->tenant(), &tenant_);
      }
    } else if (auto session = store_.Use(tenant_, id); session.ok()) {
      Work(**session);
    }
  }

 private:
  void Work(Session& session) {
    const int64_t layer = random_.Between(0, 3);
    if (random_.Chance(0.1)) {
      session.Truncate(random_.Between(0, 100), std::nullopt).IgnoreError();
      return;
    }
    KvSnapshot snapshot;
    {
      const Session::LayerGuard guard = session.Lock(layer);
      const int64_t start = guard->length();
      if (start > 300) {
        EXPECT_TRUE(guard->Truncate(random_.Between(0, 300)).ok());
      } else {
        const TokenIds ids = IdsFrom(start, random_.Between(1, 80));
        const absl::Status status =
            AppendIds(*guard, session.format(), ids, start);
        EXPECT_TRUE(status.ok() || ReasonOf(status) == Reason::kKvMemory ||
                    ReasonOf(status) == Reason::kQuota)
            << status;
      }
      snapshot = guard->Snapshot();
    }
    // While others append, truncate and fork.
    EXPECT_EQ(CompareWithIds(snapshot, IdsFrom(0, snapshot.length)), "");
  }

  SessionStore& store_;
  Tenant& tenant_;
  FakeClock& clock_;
  Random random_;
};

TEST_F(KvThreadsTest, SnapshotsHoldWhileOthersAppendForkAndDelete) {
  InThreads([this](int number) {
    Worker worker(store_, number % 2 == 0 ? bounded_ : free_, clock_, number);
    for (int64_t i = 0; i < Scaled(3000, 300); ++i) worker.Step();
  });
  // A sanitizer's few steps may not get that far.
  EXPECT_GE(bounded_.usage().refused_kv_pages, Scaled(1, 0))
      << "the quota never ran out";
}

// The retry of an append races with its first try: it is applied once.
TEST_F(KvThreadsTest, AppendThatSixteenThreadsRepeatIsAppliedOnce) {
  const auto session = store_.Create(free_, "a", kSpec);
  ASSERT_TRUE(session.ok());
  std::atomic<int64_t> num_applied = 0;
  for (int64_t round = 0; round < 50; ++round) {
    const TokenIds ids = IdsFrom(round * 7, 7);
    InThreads([&](int) {
      const Session::LayerGuard guard = (*session)->Lock(0);
      auto append = guard->BeginAppend(KeyOf(ids), round * 7);
      ASSERT_TRUE(append.ok()) << append.status();
      if (!append->is_repeat()) {
        WriteIds(*append, (*session)->format(), ids, 0, 7);
        ++num_applied;
      }
      append->Commit();
    });
  }
  EXPECT_EQ(num_applied, 50);
  EXPECT_EQ(CompareWithIds((*session)->Lock(0)->Snapshot(), IdsFrom(0, 350)),
            "");
}

}  // namespace
}  // namespace attn::test
