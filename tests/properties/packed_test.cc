// An int8 session answers, bit for bit, what the same kernel makes of the keys
// and values that its pages hold, widened to f32: at every page edge, in
// prefill and decode, with every option, and with NaN in between.
#include <cmath>
#include <cstring>
#include <string>

#include "core/kv_cache/kv_layer.h"
#include "gtest/gtest.h"
#include "tests/properties/paged_grid.h"
#include "tests/support/kernel_runner.h"
#include "tests/support/random.h"
#include "tests/support/session_runner.h"
#include "tests/support/snapshot_case.h"

namespace attn::test {
namespace {

KvFormat PackedFormatOf(const AttentionCase& c) {
  const Geometry& g = c.plan.geometry;
  return {DataType::kF32, g.num_kv_heads, g.head_dim, g.value_head_dim, true};
}

// A layer that packs, with the case's tokens and perhaps more, cut again: then
// its last page is a packed one that is shown in part.
class PackedLayer {
 public:
  PackedLayer(const AttentionCase& c, bool is_cut)
      : layer_(pool_, PackedFormatOf(c), 0, 1 << 20) {
    AppendCase(layer_, c);
    if (!is_cut) return;
    AppendCase(layer_, c);
    EXPECT_TRUE(layer_.Truncate(c.plan.geometry.kv_len).ok());
  }
  KvSnapshot Snapshot() { return layer_.Snapshot(); }

 private:
  PagePool pool_{int64_t{64} << 20};
  KvLayer layer_;
};

void ExpectAnswersAsWidened(const AttentionCase& c, const std::string& what) {
  for (const bool is_cut : {false, true}) {
    PackedLayer layer(c, is_cut);
    const KvSnapshot snapshot = layer.Snapshot();
    const AttentionCase widened = WithTokensOf(c, snapshot);
    for (const KernelKind kind : kPagedKinds) {
      EXPECT_TRUE(RunKernel(c, DefaultGemm(), kind, snapshot.View()) ==
                  RunKernel(widened, DefaultGemm(), kind))
          << what << (is_cut ? ", cut" : "") << ", kernel "
          << static_cast<int>(kind);
    }
  }
}

TEST(PackedTest, EqualsWidenedAtEveryPageEdge) {
  CaseOptions options;
  options.num_q_heads = 4;
  options.q_len = 4;
  ForEveryPageEdge(options, ExpectAnswersAsWidened);
}

TEST(PackedTest, EqualsWidenedWithEveryOption) {
  CaseOptions options;
  options.num_q_heads = 4;
  options.q_len = 7;
  ForEverySessionOption(options, ExpectAnswersAsWidened);
}

// One element of token `token`, in head 0.
void PoisonKey(AttentionCase& c, int64_t token, float poison) {
  std::memcpy(c.key.data() + token * c.plan.geometry.head_dim * 4, &poison, 4);
}
void PoisonValue(AttentionCase& c, int64_t token, float poison) {
  std::memcpy(c.value.data() + token * c.plan.geometry.value_head_dim * 4,
              &poison, 4);
}

// Answers from the pages against those from what they hold, where rows of head
// 0 from the fifth on, and no others, see the token.
void ExpectPoisonOnlyWhereSeen(const AttentionCase& c,
                               const KvSnapshot& snapshot, KernelKind kind) {
  const auto floats = [](const AttentionOutputs& outputs) {
    return ToFloats(DataType::kF32, outputs.output);
  };
  const std::vector<float> found =
      floats(RunKernel(c, DefaultGemm(), kind, snapshot.View()));
  const std::vector<float> expected =
      floats(RunKernel(WithTokensOf(c, snapshot), DefaultGemm(), kind));
  const int64_t width = c.plan.geometry.value_head_dim;
  for (int64_t i = 0; i < std::ssize(found); ++i) {
    const float x = found[static_cast<size_t>(i)];
    const float y = expected[static_cast<size_t>(i)];
    ASSERT_TRUE(x == y || (std::isnan(x) && std::isnan(y))) << i;
    const bool is_seen = i / width >= 4 && i / width < 8;
    if (is_seen && i % width != 0) continue;
    ASSERT_EQ(std::isfinite(x), !is_seen) << i;
  }
}

void ExpectPoisonIsKept(float poison, bool is_in_key) {
  constexpr int64_t kPoisoned = 90;
  CaseOptions options;
  options.q_len = 8;
  options.kv_len = 150;
  options.params.causal = CausalMode::kTopLeft;
  options.params.causal_offset = kPoisoned - 4;
  AttentionCase c = MakeCase(options);
  if (is_in_key) PoisonKey(c, kPoisoned, poison);
  PoisonValue(c, kPoisoned, poison);
  PackedLayer layer(c, false);
  const KvSnapshot snapshot = layer.Snapshot();
  EXPECT_TRUE(snapshot.Head(0).IsPacked(kPoisoned / kPageTokens));
  for (const KernelKind kind : kPagedKinds) {
    ExpectPoisonOnlyWhereSeen(c, snapshot, kind);
  }
}

TEST(PackedTest, NanAndInfinityReachJustTheRowsThatSeeThem) {
  for (const float poison : {NAN, INFINITY, -INFINITY}) {
    ExpectPoisonIsKept(poison, /*is_in_key=*/true);
    ExpectPoisonIsKept(poison, /*is_in_key=*/false);
  }
}

// The case's last n queries over all of its keys, without session.
AttentionCase LastRows(const AttentionCase& whole, int64_t first, int64_t n) {
  const Geometry& g = whole.plan.geometry;
  CaseOptions options;
  options.num_q_heads = g.num_q_heads;
  options.q_len = n;
  options.kv_len = first + n;
  options.head_dim = g.head_dim;
  options.value_head_dim = g.value_head_dim;
  options.params.causal = CausalMode::kBottomRight;
  options.output.return_lse = true;
  AttentionCase made = MakeCase(options);
  made.query = CutTokens(whole, first, n).query;
  return made;
}

TEST(PackedTest, SessionInPiecesAnswersAsItsPagesSay) {
  constexpr uint64_t kSeed = 20261121;
  Random random(kSeed);
  for (int round = 0; round < 6; ++round) {
    SCOPED_TRACE(testing::Message() << "seed " << kSeed << " round " << round);
    SessionRunner runner;
    const AttentionCase whole =
        DecoderCase(random.Between(130, 260), random.Next());
    const SessionPtr session = runner.Create(whole, KvDtype::kInt8);
    const int64_t length = whole.plan.geometry.q_len;
    for (const auto& [first, n] : CutAtRandom(length, random)) {
      const SessionRunner::Call call{
          .expected_length = first,
          .fingerprint = static_cast<uint64_t>(first)};
      const AttentionCase piece = CutTokens(whole, first, n);
      const auto answer = runner.Attend(*session, piece, call);
      ASSERT_TRUE(answer.ok()) << answer.status();
      const AttentionCase widened =
          WithTokensOf(LastRows(whole, first, n), session->Lock(0)->Snapshot());
      ASSERT_TRUE(*answer == runner.engine().RunOne(widened))
          << "tokens " << first << " and " << n << " more of " << length;
      const auto again = runner.Attend(*session, piece, call);
      ASSERT_TRUE(again.ok() && *again == *answer) << "repeated";
    }
  }
}

}  // namespace
}  // namespace attn::test
