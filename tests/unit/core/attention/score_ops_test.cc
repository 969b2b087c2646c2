// Each step against its scalar twin in double, at every length around the
// vector widths. What lies beyond a row must stay as it is.
#include "core/attention/score_ops.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <thread>
#include <vector>

#include "core/engine/float_mode.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/random.h"
#include "tests/support/sizes.h"

namespace attn {
namespace {

using testing::Each;
using testing::ElementsAre;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kLargest = std::numeric_limits<float>::max();
constexpr double kEpsilon = 0x1p-24;
constexpr int64_t kMaxLength = 70;

std::vector<float> RandomRow(size_t n, double spread, uint64_t seed) {
  test::Random random(seed);
  std::vector<float> row(n);
  for (float& value : row) {
    value = static_cast<float>(spread * random.Gaussian());
  }
  return row;
}

// Runs `step(row, n)` for every length at an odd offset and compares with
// twin(value, index); errors may be `relative` of the result plus `absolute`.
template <typename Step, typename Twin>
void ExpectMatchesTwin(double spread, const Step& step, const Twin& twin,
                       double relative, double absolute) {
  for (int64_t n = 0; n <= kMaxLength; ++n) {
    const std::vector<float> before =
        RandomRow(kMaxLength + 20, spread, static_cast<uint64_t>(n));
    std::vector<float> after = before;
    step(after.data() + 3, n);
    for (int64_t i = 0; i < std::ssize(after); ++i) {
      const auto at = static_cast<size_t>(i);
      if (i < 3 || i >= 3 + n) {
        ASSERT_EQ(after[at], before[at]) << "beyond the row, n " << n;
        continue;
      }
      const double expected = twin(static_cast<double>(before[at]), i - 3);
      if (static_cast<double>(after[at]) == expected) continue;  // Infinities.
      ASSERT_NEAR(after[at], expected,
                  relative * std::fabs(expected) + absolute)
          << "n " << n << " index " << i - 3;
    }
  }
}

TEST(ScoreOpsTest, SoftcapIsCapTimesTanh) {
  for (const float cap : {0.5f, 1.0f, 30.0f, 1000.0f}) {
    const double wide = cap;
    ExpectMatchesTwin(
        3 * wide, [&](float* row, int64_t n) { SoftcapRow(row, n, cap); },
        [&](double s, int64_t) { return wide * std::tanh(s / wide); },
        16 * kEpsilon, 0);
  }
}

TEST(ScoreOpsTest, SoftcapMuchLargerThanScoresChangesNothing) {
  ExpectMatchesTwin(
      5, [](float* row, int64_t n) { SoftcapRow(row, n, 1e30f); },
      [](double s, int64_t) { return s; }, 8 * kEpsilon, 0);
}

// Workers flush denormals, which 1 / cap and score / cap are here.
TEST(ScoreOpsTest, LargestSoftcapChangesNothingOnAWorker) {
  std::vector<float> row = RandomRow(37, 5, 1);
  const std::vector<float> before = row;
  std::thread worker([&] {
    FlushDenormals();
    SoftcapRow(row.data(), std::ssize(row), kLargest);
  });
  worker.join();
  EXPECT_EQ(row, before);
}

TEST(ScoreOpsTest, SoftcapOfInfinityIsTheCap) {
  float row[] = {kInfinity, -kInfinity, kLargest, 0, kNan};
  SoftcapRow(row, 5, 2.0f);
  EXPECT_EQ(row[0], 2.0f);
  EXPECT_EQ(row[1], -2.0f);
  EXPECT_EQ(row[2], 2.0f);
  EXPECT_EQ(row[3], 0.0f);
  EXPECT_TRUE(std::isnan(row[4]));
}

TEST(ScoreOpsTest, AlibiAddsSlopeTimesDistance) {
  for (const double first : {0.0, -69.0, 1000.0}) {
    for (const float slope : {0.0f, 0.25f, -1.5f}) {
      const double wide = slope;
      ExpectMatchesTwin(
          2, [&](float* row, int64_t n) { AddAlibiRow(row, n, slope, first); },
          [&](double s, int64_t j) {
            return s + wide * (first + static_cast<double>(j));
          },
          2 * kEpsilon, 0);
    }
  }
}

TEST(ScoreOpsTest, ForbidSelectsByFlag) {
  test::Random random(9);
  std::vector<std::byte> allowed(kMaxLength);
  for (std::byte& flag : allowed) {
    flag = random.Chance(0.5) ? std::byte{0}
                              : static_cast<std::byte>(random.Between(1, 255));
  }
  ExpectMatchesTwin(
      2, [&](float* row, int64_t n) { ForbidRow(row, n, allowed.data()); },
      [&](double s, int64_t j) {
        return allowed[static_cast<size_t>(j)] == std::byte{0}
                   ? -double{kInfinity}
                   : s;
      },
      0, 0);
}

TEST(ScoreOpsTest, ForbidWinsOverNan) {
  std::vector<float> row(20, kNan);
  const std::vector<std::byte> allowed(20, std::byte{0});
  ForbidRow(row.data(), 20, allowed.data());
  EXPECT_THAT(row, Each(-kInfinity));
}

TEST(ScoreOpsTest, BiasIsAdded) {
  std::vector<float> bias = RandomRow(kMaxLength, 3, 77);
  for (size_t j = 0; j < bias.size(); j += 5) bias[j] = -kInfinity;
  ExpectMatchesTwin(
      2, [&](float* row, int64_t n) { AddBiasRow(row, n, bias.data()); },
      [&](double s, int64_t j) {
        return s + static_cast<double>(bias[static_cast<size_t>(j)]);
      },
      kEpsilon, 0);
}

TEST(ScoreOpsTest, BiasOfMinusInfinityWinsOverNanAndInfinity) {
  float row[] = {kNan, kInfinity, -kInfinity, 1, kNan};
  const float bias[] = {-kInfinity, -kInfinity, -kInfinity, -kInfinity, 0};
  AddBiasRow(row, 5, bias);
  EXPECT_THAT(std::vector<float>(row, row + 4), Each(-kInfinity));
  EXPECT_TRUE(std::isnan(row[4]));
}

TEST(ScoreOpsTest, OutsideOfTheRangeIsForbidden) {
  for (const KeyRange range : {KeyRange{0, 0},
                               {0, 9},
                               {3, 7},
                               {100, 105},
                               {7, 3},
                               {103, 200},
                               {0, INT64_MAX},
                               {INT64_MAX, INT64_MAX}}) {
    ExpectMatchesTwin(
        1, [&](float* row, int64_t n) { ForbidOutside(row, n, 100, range); },
        [&](double s, int64_t j) {
          return range.Contains(100 + j) ? s : -double{kInfinity};
        },
        0, 0);
  }
}

TEST(ScoreOpsTest, ToLog4MultipliesByLog4E) {
  ExpectMatchesTwin(
      40, [](float* row, int64_t n) { ToLog4Row(row, n); },
      [](double s, int64_t) { return s * 0.7213475204444817; }, 2 * kEpsilon,
      0);
}

TEST(ScoreOpsTest, ToLog4KeepsFiniteFiniteAndApart) {
  float row[] = {kLargest, -kLargest, -0.9f * kLargest, kInfinity, -kInfinity};
  ToLog4Row(row, 5);
  EXPECT_TRUE(std::isfinite(row[0]));
  EXPECT_TRUE(std::isfinite(row[1]));
  EXPECT_LT(row[1], row[2]);
  EXPECT_EQ(row[3], kInfinity);
  EXPECT_EQ(row[4], -kInfinity);
}

TEST(ScoreOpsTest, ScaleMultiplies) {
  ExpectMatchesTwin(
      5, [](float* row, int64_t n) { ScaleRow(row, n, 0.3f); },
      [](double s, int64_t) { return s * double{0.3f}; }, kEpsilon, 0);
}

// 4^x through ProbabilitiesRow over a dense sweep of [-62.5, 0].
TEST(ScoreOpsTest, PowersAreWithinTwoTenMillionths) {
  const int64_t count = test::Scaled(4000000, 100000);
  std::vector<float> row;
  for (int64_t i = 0; i <= count; ++i) {
    row.push_back(static_cast<float>(-62.5 * static_cast<double>(i) /
                                     static_cast<double>(count)));
  }
  const std::vector<float> exponents = row;
  ProbabilitiesRow(row.data(), std::ssize(row), 0.0f, 1.0f);
  double worst = 0;
  for (size_t i = 0; i < row.size(); ++i) {
    const double expected = std::exp2(2 * static_cast<double>(exponents[i]));
    worst = std::max(
        worst, std::fabs(static_cast<double>(row[i]) - expected) / expected);
  }
  EXPECT_LT(worst, 2e-7);
  EXPECT_EQ(row[0], 1.0f);
  RecordProperty("worst_relative_error", std::to_string(worst * 1e9) + "e-9");
}

TEST(ScoreOpsTest, IntegerPowersAreExact) {
  std::vector<float> row;
  for (int x = 0; x >= -125; --x) row.push_back(static_cast<float>(x) / 2);
  ProbabilitiesRow(row.data(), std::ssize(row), 0.0f, 1.0f);
  for (size_t i = 0; i < row.size(); ++i) {
    ASSERT_EQ(row[i], std::ldexp(1.0f, -static_cast<int>(i)));
  }
}

TEST(ScoreOpsTest, ProbabilitiesOfTinyAndForbiddenScoresAreZero) {
  float row[] = {-kInfinity, -62.75f, -1e30f, -kLargest, kNan, 0};
  ProbabilitiesRow(row, 6, 0.0f, 0.5f);
  EXPECT_THAT(std::vector<float>(row, row + 4), Each(0.0f));
  EXPECT_FALSE(std::signbit(row[0]));
  EXPECT_TRUE(std::isnan(row[4]));
  EXPECT_EQ(row[5], 0.5f);
}

TEST(ScoreOpsTest, ProbabilitiesUseMaxAndFactorAtEveryLength) {
  ExpectMatchesTwin(
      4, [](float* row, int64_t n) { ProbabilitiesRow(row, n, 20.0f, 0.125f); },
      [](double s, int64_t) { return std::exp2(2 * (s - 20)) * 0.125; },
      // The difference is rounded once; its error becomes relative.
      2e-7 + 32 * kEpsilon, 0);
}

// Rows of a tile with their running state.
struct Rows {
  explicit Rows(int64_t num_rows)
      : max(static_cast<size_t>(num_rows), -kInfinity),
        sum(static_cast<size_t>(num_rows), 0.0),
        rescale(static_cast<size_t>(num_rows), -1.0f) {}

  void Step(std::vector<float>& scores, int64_t num_keys, int64_t stride) {
    SoftmaxStep({.scores = scores.data(),
                 .num_rows = std::ssize(max),
                 .num_keys = num_keys,
                 .stride = stride,
                 .max = max.data(),
                 .sum = sum.data(),
                 .rescale = rescale.data()});
  }

  std::vector<float> max;
  std::vector<double> sum;
  std::vector<float> rescale;
};

TEST(SoftmaxStepTest, SumsPowersAtEveryLength) {
  for (int64_t n = 1; n <= kMaxLength; ++n) {
    const std::vector<float> scores =
        RandomRow(static_cast<size_t>(2 * 80), 6, static_cast<uint64_t>(n));
    std::vector<float> powers = scores;
    Rows rows(2);
    rows.Step(powers, n, 80);
    for (size_t r = 0; r < 2; ++r) {
      const auto* row = scores.data() + r * 80;
      const float max = std::ceil(*std::max_element(row, row + n));
      ASSERT_EQ(rows.max[r], max);
      double sum = 0;
      for (int64_t j = 0; j < n; ++j) {
        const double power = std::exp2(
            2 * (static_cast<double>(row[j]) - static_cast<double>(max)));
        const float got = powers[r * 80 + static_cast<size_t>(j)];
        ASSERT_NEAR(got, power, power * (2e-7 + 80 * kEpsilon));
        sum += power;
      }
      ASSERT_NEAR(rows.sum[r], sum, sum * 3e-6);
      ASSERT_EQ(powers[r * 80 + static_cast<size_t>(n)], row[n]) << "beyond";
    }
  }
}

TEST(SoftmaxStepTest, LaterMaximumRescalesWhatWasThere) {
  Rows rows(1);
  std::vector<float> first = {1.0f, 0.0f};
  rows.Step(first, 2, 2);
  EXPECT_EQ(rows.rescale[0], 1.0f);
  EXPECT_EQ(rows.sum[0], 1.25);
  std::vector<float> second = {4.0f, -kInfinity};
  rows.Step(second, 2, 2);
  EXPECT_EQ(rows.max[0], 4.0f);
  EXPECT_EQ(rows.rescale[0], 0x1p-6f);
  EXPECT_EQ(rows.sum[0], 1.25 * 0x1p-6 + 1);
  EXPECT_THAT(second, ElementsAre(1.0f, 0.0f));
}

TEST(SoftmaxStepTest, LowerScoresLeaveTheMaximum) {
  Rows rows(1);
  std::vector<float> first = {3.0f};
  rows.Step(first, 1, 1);
  std::vector<float> second = {1.0f};
  rows.Step(second, 1, 1);
  EXPECT_EQ(rows.max[0], 3.0f);
  EXPECT_EQ(rows.rescale[0], 1.0f);
  EXPECT_EQ(rows.sum[0], 1.0625);
}

TEST(SoftmaxStepTest, ForbiddenKeysAreExactlyZeroAndAddNothing) {
  Rows rows(1);
  std::vector<float> scores(33, -kInfinity);
  rows.Step(scores, 33, 33);
  EXPECT_THAT(scores, Each(0.0f));
  EXPECT_EQ(rows.max[0], -kInfinity);
  EXPECT_EQ(rows.sum[0], 0.0);
  EXPECT_EQ(rows.rescale[0], 1.0f);
  // The first allowed key comes later.
  std::vector<float> later = {-200.0f};
  rows.Step(later, 1, 1);
  EXPECT_EQ(rows.max[0], -200.0f);
  EXPECT_EQ(rows.sum[0], 1.0);
  EXPECT_EQ(rows.rescale[0], 1.0f);
}

TEST(SoftmaxStepTest, NanMakesTheSumNanAtEveryPlace) {
  for (int64_t n = 1; n <= 40; ++n) {
    for (int64_t at = 0; at < n; ++at) {
      Rows rows(1);
      std::vector<float> scores =
          RandomRow(static_cast<size_t>(n), 2, static_cast<uint64_t>(n));
      scores[static_cast<size_t>(at)] = kNan;
      rows.Step(scores, n, n);
      ASSERT_TRUE(std::isnan(rows.sum[0])) << n << " " << at;
      ASSERT_TRUE(std::isnan(scores[static_cast<size_t>(at)]));
    }
  }
}

TEST(SoftmaxStepTest, LowestFiniteScoresCountAllTheSame) {
  Rows rows(1);
  std::vector<float> scores = {-kLargest, -kLargest, -kInfinity};
  rows.Step(scores, 3, 3);
  EXPECT_EQ(rows.sum[0], 2.0);
  EXPECT_THAT(scores, ElementsAre(1.0f, 1.0f, 0.0f));
}

}  // namespace
}  // namespace attn
