#include "core/kv_cache/session.h"

#include <atomic>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/kv_tokens.h"
#include "tests/support/sizes.h"

namespace attn {
namespace {

using test::CompareWithIds;
using test::IdsFrom;
using test::TokenIds;
using testing::ElementsAre;

constexpr TimePoint kStart{std::chrono::hours(1)};

class SessionTest : public testing::Test {
 protected:
  std::unique_ptr<Session> NewSession(int64_t num_layers = 3) {
    KvSpec spec{.num_layers = num_layers, .num_kv_heads = 1, .head_dim = 4};
    spec = *ResolveSpec(spec, {});
    return std::make_unique<Session>(Session::Name{tenant_, "id"}, spec, pool_,
                                     kStart);
  }
  void Append(Session& session, int64_t layer, const TokenIds& ids) {
    const absl::Status status =
        test::AppendIds(*session.Lock(layer), session.format(), ids);
    EXPECT_TRUE(status.ok()) << status;
  }
  std::string Compare(Session& session, int64_t layer, const TokenIds& ids) {
    return CompareWithIds(session.Lock(layer)->Snapshot(), ids);
  }

  Tenant tenant_{"", 0, {}};
  PagePool pool_{int64_t{64} << 20};
};

TEST_F(SessionTest, ExpiresAfterItsIdleTimeAndNotBeyondTheEndOfTime) {
  KvSpec spec = NewSession()->spec();
  spec.idle_ttl = std::chrono::seconds(5);
  Session session({tenant_, "id"}, spec, pool_, kStart);
  EXPECT_EQ(session.expires_at(), kStart + std::chrono::seconds(5));
  session.MarkUsed(kStart + std::chrono::seconds(2));
  EXPECT_EQ(session.last_used_at(), kStart + std::chrono::seconds(2));
  EXPECT_EQ(session.expires_at(), kStart + std::chrono::seconds(7));
  spec.idle_ttl = Duration::max();
  EXPECT_EQ(Session({tenant_, "id"}, spec, pool_, kStart).expires_at(),
            TimePoint::max());
}

TEST_F(SessionTest, LayersAreApart) {
  const auto session = NewSession();
  Append(*session, 0, IdsFrom(1, 70));
  Append(*session, 2, IdsFrom(100, 3));
  EXPECT_EQ(Compare(*session, 0, IdsFrom(1, 70)), "");
  EXPECT_EQ(Compare(*session, 1, {}), "");
  EXPECT_EQ(Compare(*session, 2, IdsFrom(100, 3)), "");
  const Session::Usage usage = session->MeasureUsage();
  EXPECT_THAT(usage.layer_lengths, ElementsAre(70, 0, 3));
  EXPECT_EQ(usage.kv_bytes, 3 * session->format().page_bytes());
  EXPECT_EQ(usage.shared_bytes, 0);
}

TEST_F(SessionTest, LayerBeyondTheSpecIsAMismatch) {
  const auto session = NewSession();
  EXPECT_TRUE(session->CheckLayer(2, "layer").ok());
  for (const int64_t layer : {-1, 3}) {
    const absl::Status status = session->CheckLayer(layer, "layer");
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_EQ(ReasonOf(status), Reason::kSpecMismatch);
    EXPECT_EQ(session->Truncate(0, layer), status);
  }
  EXPECT_EQ(session->CheckLayer(3, "layer").message(),
            "layer must be below the session's num_layers; got 3 vs 3");
}

TEST_F(SessionTest, TruncatesOneLayer) {
  const auto session = NewSession();
  Append(*session, 0, IdsFrom(1, 70));
  Append(*session, 1, IdsFrom(1, 70));
  ASSERT_TRUE(session->Truncate(5, 1).ok());
  EXPECT_THAT(session->MeasureUsage().layer_lengths, ElementsAre(70, 5, 0));
  const absl::Status status = session->Truncate(6, 1);
  EXPECT_EQ(status.message(),
            "layer 1: length must be at most the layer's length; got 6 vs 5");
  EXPECT_EQ(ReasonOf(status), Reason::kLengthMismatch);
  EXPECT_EQ(FoundLengthOf(status), 5);
}

TEST_F(SessionTest, TruncatesAllLayersOrNone) {
  const auto session = NewSession();
  Append(*session, 0, IdsFrom(1, 70));
  Append(*session, 1, IdsFrom(1, 70));
  const absl::Status untouched = session->Truncate(5, std::nullopt);
  EXPECT_EQ(untouched.message(),
            "layer 2: length must be at most the layer's length; got 5 vs 0");
  EXPECT_EQ(FoundLengthOf(untouched), 0);
  Append(*session, 2, IdsFrom(1, 4));
  const absl::Status shorter = session->Truncate(5, std::nullopt);
  EXPECT_EQ(FoundLengthOf(shorter), 4);
  EXPECT_THAT(session->MeasureUsage().layer_lengths, ElementsAre(70, 70, 4));
  ASSERT_TRUE(session->Truncate(4, std::nullopt).ok());
  EXPECT_THAT(session->MeasureUsage().layer_lengths, ElementsAre(4, 4, 4));
  ASSERT_TRUE(session->Truncate(0, std::nullopt).ok());
  EXPECT_EQ(pool_.used_bytes(), 0);
}

TEST_F(SessionTest, ForkSharesEveryLayer) {
  const auto source = NewSession();
  Append(*source, 0, IdsFrom(1, 70));
  Append(*source, 2, IdsFrom(100, 3));
  const auto fork = NewSession();
  ASSERT_TRUE(fork->ForkFrom(*source, std::nullopt).ok());
  EXPECT_THAT(fork->MeasureUsage().layer_lengths, ElementsAre(70, 0, 3));
  EXPECT_EQ(fork->MeasureUsage().shared_bytes, pool_.used_bytes());
  Append(*fork, 0, IdsFrom(1000, 1));
  Append(*source, 0, IdsFrom(2000, 2));
  TokenIds ids = IdsFrom(1, 70);
  ids.push_back(1000);
  EXPECT_EQ(Compare(*fork, 0, ids), "");
  ids.back() = 2000;
  ids.push_back(2001);
  EXPECT_EQ(Compare(*source, 0, ids), "");
}

TEST_F(SessionTest, ForkBeyondSomeLayersLengthTakesNothing) {
  const auto source = NewSession();
  Append(*source, 0, IdsFrom(1, 70));
  Append(*source, 1, IdsFrom(1, 60));
  Append(*source, 2, IdsFrom(1, 50));
  const auto fork = NewSession();
  const absl::Status status = fork->ForkFrom(*source, 55);
  EXPECT_EQ(FoundLengthOf(status), 50);
  EXPECT_EQ(status.message(),
            "layer 2: length must be at most the layer's length; got 55 vs 50");
  EXPECT_EQ(pool_.shared_bytes(), 0);
  EXPECT_TRUE(fork->ForkFrom(*source, 50).ok());
}

TEST_F(SessionTest, ManyLayersWithoutTokensCostNothing) {
  const auto source = NewSession(4096);
  const auto fork = NewSession(4096);
  ASSERT_TRUE(fork->ForkFrom(*source, 0).ok());
  ASSERT_TRUE(fork->Truncate(0, std::nullopt).ok());
  EXPECT_EQ(fork->MeasureUsage().layer_lengths.size(), 4096u);
  EXPECT_EQ(pool_.slab_bytes(), 0);
}

// One thread appends to the layers in order, so that a later layer is never
// longer than an earlier one; a fork at any moment must show that.
TEST_F(SessionTest, ForkSeesAllLayersAtOneMoment) {
  constexpr int64_t kLayers = 6;
  const int64_t num_tokens = test::Scaled(300, 60);
  for (int round = 0; round < 5; ++round) {
    const auto source = NewSession(kLayers);
    std::atomic<bool> is_done = false;
    std::thread appender([&] {
      for (int64_t i = 0; i < num_tokens * kLayers; ++i) {
        Append(*source, i % kLayers, IdsFrom(i / kLayers, 1));
      }
      is_done = true;
    });
    while (!is_done) {
      const auto fork = NewSession(kLayers);
      EXPECT_TRUE(fork->ForkFrom(*source, std::nullopt).ok());
      const auto lengths = fork->MeasureUsage().layer_lengths;
      for (int64_t layer = 1; layer < kLayers; ++layer) {
        EXPECT_LE(lengths[layer], lengths[layer - 1]);
      }
      EXPECT_LE(lengths[0] - lengths[kLayers - 1], 1);
    }
    appender.join();
  }
}

}  // namespace
}  // namespace attn
