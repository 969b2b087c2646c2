// A session answers what a stateless request with the same keys and values
// does, bit for bit where the same kernel runs: whole == appended in any
// pieces.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "core/base/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/comparison.h"
#include "tests/support/random.h"
#include "tests/support/session_runner.h"

namespace attn::test {
namespace {

// Rows [first, first + n) of every head of the whole's output.
std::vector<std::byte> OutputRows(const AttentionCase& whole,
                                  const AttentionOutputs& outputs,
                                  int64_t first, int64_t n) {
  const int64_t row = whole.plan.geometry.value_head_dim * 4;
  std::vector<std::byte> rows;
  for (int64_t head = 0; head < whole.plan.geometry.num_q_heads; ++head) {
    const auto start = outputs.output.begin() +
                       (head * whole.plan.geometry.q_len + first) * row;
    rows.insert(rows.end(), start, start + n * row);
  }
  return rows;
}

double LargestDifference(const std::vector<std::byte>& a,
                         const std::vector<std::byte>& b) {
  const std::vector<float> x = ToFloats(DataType::kF32, a);
  const std::vector<float> y = ToFloats(DataType::kF32, b);
  EXPECT_EQ(x.size(), y.size());
  double largest = 0;
  for (size_t i = 0; i < std::min(x.size(), y.size()); ++i) {
    const double difference = std::fabs(double{x[i]} - double{y[i]});
    if (std::isnan(difference)) return INFINITY;  // std::max drops it.
    largest = std::max(largest, difference);
  }
  return largest;
}

TEST(SessionPropertyTest, OneCallWithAllTokensEqualsTheStatelessAnswer) {
  for (const int64_t length : {1, 3, 63, 64, 65, 200}) {
    for (const bool has_rope : {false, true}) {
      SessionRunner runner;
      const AttentionCase whole = DecoderCase(length, 7, has_rope);
      const SessionPtr session = runner.Create(whole);
      const auto answer = runner.Attend(*session, whole, {});
      ASSERT_TRUE(answer.ok()) << answer.status();
      EXPECT_TRUE(*answer == runner.engine().RunOne(whole))
          << length << (has_rope ? " with rope" : "");
    }
  }
}

TEST(SessionPropertyTest, PiecesInAnyCutEqualTheWhole) {
  constexpr uint64_t kSeed = 20261122;
  Random random(kSeed);
  for (int round = 0; round < 12; ++round) {
    SCOPED_TRACE(testing::Message() << "seed " << kSeed << " round " << round);
    SessionRunner runner;
    const AttentionCase whole =
        DecoderCase(random.Between(2, 260), random.Next(), round % 2 == 1);
    const AttentionOutputs expected = runner.engine().RunOne(whole);
    const SessionPtr session = runner.Create(whole);
    const int64_t length = whole.plan.geometry.q_len;
    for (const auto& [first, n] : CutAtRandom(length, random)) {
      const auto answer =
          runner.Attend(*session, CutTokens(whole, first, n),
                        {.expected_length = first,
                         .fingerprint = static_cast<uint64_t>(first)});
      ASSERT_TRUE(answer.ok()) << answer.status();
      // Another number of rows is another tile, with other last bits.
      ASSERT_LT(LargestDifference(answer->output,
                                  OutputRows(whole, expected, first, n)),
                2e-6)
          << "tokens " << first << " and " << n << " more of " << length;
    }
  }
}

TEST(SessionPropertyTest, RepeatedCallAnswersTheSameBytesAndAppendsOnce) {
  SessionRunner runner;
  const AttentionCase whole = DecoderCase(100, 3);
  const SessionPtr session = runner.Create(whole);
  const AttentionCase first = CutTokens(whole, 0, 70);
  const SessionRunner::Call call{.expected_length = 0, .fingerprint = 1};
  const auto once = runner.Attend(*session, first, call);
  const auto again = runner.Attend(*session, first, call);
  ASSERT_TRUE(once.ok() && again.ok()) << again.status();
  EXPECT_TRUE(*once == *again);
  EXPECT_EQ(session->MeasureUsage().layer_lengths[0], 70);
  const auto other =
      runner.Attend(*session, first, {.expected_length = 0, .fingerprint = 2});
  EXPECT_EQ(ReasonOf(other.status()), Reason::kLengthMismatch);
}

TEST(SessionPropertyTest, RefusedCallHasAppendedNothing) {
  SessionRunner runner;
  const AttentionCase whole = DecoderCase(10, 3);
  const SessionPtr session = runner.Create(whole);
  AttentionCase bad = whole;
  bad.spec.params.softcap = -1;
  EXPECT_FALSE(runner.Attend(*session, bad, {}).ok());
  EXPECT_EQ(session->MeasureUsage().layer_lengths[0], 0);
  EXPECT_EQ(runner.pool().used_bytes(), 0);
}

TEST(SessionPropertyTest, ForksAndTruncationsAnswerAsTheirOwnTokens) {
  SessionRunner runner;
  const AttentionCase whole = DecoderCase(150, 11);
  const SessionPtr session = runner.Create(whole);
  ASSERT_TRUE(runner.Append(*session, CutTokens(whole, 0, 100), {}).ok());
  const auto fork = runner.store().Fork(runner.tenant(), session->id(), "", 90);
  ASSERT_TRUE(fork.ok()) << fork.status();
  const AttentionOutputs expected = runner.engine().RunOne(whole);
  // Both go on from token 90 with different tokens; neither sees the other.
  const AttentionCase other = DecoderCase(150, 99);
  ASSERT_TRUE(runner.Append(**fork, CutTokens(other, 0, 30), {}).ok());
  ASSERT_TRUE(session->Truncate(90, std::nullopt).ok());
  const auto answer = runner.Attend(*session, CutTokens(whole, 90, 60), {});
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_LT(
      LargestDifference(answer->output, OutputRows(whole, expected, 90, 60)),
      2e-6);
  const SessionPtr twin = runner.Create(whole);
  ASSERT_TRUE(runner.Append(*twin, CutTokens(whole, 0, 90), {}).ok());
  ASSERT_TRUE(runner.Append(*twin, CutTokens(other, 0, 30), {}).ok());
  const AttentionCase next = CutTokens(other, 30, 10);
  const auto of_fork = runner.Attend(**fork, next, {});
  const auto of_twin = runner.Attend(*twin, next, {});
  ASSERT_TRUE(of_fork.ok() && of_twin.ok()) << of_fork.status();
  EXPECT_TRUE(*of_fork == *of_twin);
}

TEST(SessionPropertyTest, WindowedSessionAnswersAsAWindowDoes) {
  constexpr int64_t kWindow = 37;
  SessionRunner runner;
  AttentionCase whole = DecoderCase(400, 5);
  const SessionPtr session = runner.Create(whole, KvDtype::kF32, kWindow);
  whole.plan.params.left_window = kWindow - 1;
  const AttentionOutputs expected = runner.engine().RunOne(whole);
  for (int64_t first = 0; first < 400; first += 10) {
    const auto answer =
        runner.Attend(*session, CutTokens(whole, first, 10), {});
    ASSERT_TRUE(answer.ok()) << answer.status();
    ASSERT_LT(LargestDifference(answer->output,
                                OutputRows(whole, expected, first, 10)),
              2e-6)
        << first;
  }
  EXPECT_LE(session->MeasureUsage().kv_bytes,
            3 * session->format().page_bytes());
}

// The call's own append drops the pages that its row, put back in time, asks
// for: they are not there.
TEST(SessionPropertyTest, RowPutBeforeTheKeptWindowSeesNoKey) {
  SessionRunner runner;
  const AttentionCase whole = DecoderCase(301, 5);
  const SessionPtr session = runner.Create(whole, KvDtype::kF32, /*window=*/37);
  ASSERT_TRUE(runner.Append(*session, CutTokens(whole, 0, 300), {}).ok());
  AttentionCase last = CutTokens(whole, 300, 1);
  last.spec.params.causal_offset = 10;
  const auto answer = runner.Attend(*session, last, {});
  ASSERT_TRUE(answer.ok()) << answer.status();
  const std::vector<float> output = ToFloats(DataType::kF32, answer->output);
  EXPECT_THAT(output, testing::Each(0.0f));
  EXPECT_THAT(ToFloats(DataType::kF32, answer->lse),
              testing::Each(-std::numeric_limits<float>::infinity()));
}

// n tokens after 300, of a window of 37: no row sees the first 264.
void ExpectNoWeightBeforeTheWindow(KvDtype dtype, int64_t n) {
  SessionRunner runner;
  AttentionCase whole = DecoderCase(400, 5);
  whole.spec.output.weights = WeightsMode::kProbabilities;
  const SessionPtr session = runner.Create(whole, dtype, /*window=*/37);
  ASSERT_TRUE(runner.Append(*session, CutTokens(whole, 0, 300), {}).ok());
  const auto answer = runner.Attend(*session, CutTokens(whole, 300, n), {});
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_GT(session->Lock(0)->first_token(), 0);
  const std::vector<float> weights = ToFloats(DataType::kF32, answer->weights);
  double sum = 0, sum_before = 0;
  for (int64_t i = 0; i < std::ssize(weights); ++i) {
    const double weight = weights[static_cast<size_t>(i)];
    sum += weight;
    if (i % (300 + n) < 264) sum_before += std::fabs(weight);
  }
  EXPECT_EQ(sum_before, 0);
  EXPECT_NEAR(sum, static_cast<double>(4 * n), 1e-4);
}

// Kernels of 64 and of 256 keys a tile; pages of f32 are read where they lie.
TEST(SessionPropertyTest, WeightsOfTokensThatLeftTheWindowAreZero) {
  for (const KvDtype dtype : {KvDtype::kF32, KvDtype::kBF16, KvDtype::kInt8}) {
    for (const int64_t n : {1, 20}) ExpectNoWeightBeforeTheWindow(dtype, n);
  }
}

TEST(SessionPropertyTest, EverythingIsGivenBack) {
  SessionRunner runner;
  const AttentionCase whole = DecoderCase(300, 5);
  {
    const SessionPtr session = runner.Create(whole);
    ASSERT_TRUE(runner.Attend(*session, whole, {}).ok());
    ASSERT_TRUE(runner.store()
                    .Fork(runner.tenant(), session->id(), "f", std::nullopt)
                    .ok());
    EXPECT_GT(runner.pool().shared_bytes(), 0);
    ASSERT_TRUE(runner.store().Delete(runner.tenant(), session->id()).ok());
  }
  ASSERT_TRUE(runner.store().Delete(runner.tenant(), "f").ok());
  EXPECT_EQ(runner.pool().used_bytes(), 0);
  EXPECT_EQ(runner.pool().shared_bytes(), 0);
}

}  // namespace
}  // namespace attn::test
