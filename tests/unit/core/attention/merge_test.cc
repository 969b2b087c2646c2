#include "core/attention/merge.h"

#include <cmath>
#include <limits>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/random.h"

namespace attn {
namespace {

using testing::Each;
using testing::ElementsAre;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

struct Part {
  std::vector<float> output;
  std::vector<float> lse;
};

// Of as many rows as there are lse.
Part MergeParts(const std::vector<Part>& parts, int64_t num_rows, int64_t dim,
                const float* sinks = nullptr) {
  std::vector<PartialAnswer> answers;
  for (const Part& part : parts) {
    answers.push_back({part.output.data(), part.lse.data()});
  }
  Part merged{std::vector<float>(static_cast<size_t>(num_rows * dim), 77),
              std::vector<float>(static_cast<size_t>(num_rows), 77)};
  Merge(answers, sinks, num_rows, dim, merged.output.data(), merged.lse.data());
  return merged;
}

float Log(double value) { return static_cast<float>(std::log(value)); }

// Keys of weight 1, and 2 and 5: the whole is (1 * 10 + 7 * 2) / 8 = 3.
TEST(MergeTest, PartsCountByTheirDenominators) {
  const Part merged = MergeParts({{{10, 0}, {0}}, {{2, 8}, {Log(7)}}}, 1, 2);
  EXPECT_NEAR(merged.output[0], 3, 1e-6);
  EXPECT_NEAR(merged.output[1], 7, 1e-6);
  EXPECT_NEAR(merged.lse[0], std::log(8), 1e-6);
}

TEST(MergeTest, RowsAreMergedEachByItself) {
  const Part merged =
      MergeParts({{{1, 2, 3}, {0, 0, 5}}, {{3, 6, 9}, {0, Log(3), 5}}}, 3, 1);
  EXPECT_NEAR(merged.output[0], 2, 1e-6);
  EXPECT_NEAR(merged.output[1], 5, 1e-6);
  EXPECT_NEAR(merged.output[2], 6, 1e-6);
  EXPECT_NEAR(merged.lse[2], 5 + std::log(2), 1e-6);
}

TEST(MergeTest, OnePartStaysAsItIs) {
  const Part part{{1.5f, -0.1f, 1e-30f, 3e38f}, {0.7f, -80}};
  const Part merged = MergeParts({part}, 2, 2);
  EXPECT_EQ(merged.output, part.output);
  EXPECT_EQ(merged.lse, part.lse);
}

TEST(MergeTest, PartThatSawNoKeyDoesNotCount) {
  const Part seeing{{1.5f, -3}, {-40}};
  for (const float rubbish : {0.0f, 5.0f, kNan, INFINITY}) {
    const Part blind{{rubbish, rubbish}, {-INFINITY}};
    for (const auto& parts :
         {std::vector<Part>{blind, seeing}, {seeing, blind}}) {
      const Part merged = MergeParts(parts, 1, 2);
      EXPECT_EQ(merged.output, seeing.output);
      EXPECT_EQ(merged.lse, seeing.lse);
    }
  }
}

TEST(MergeTest, RowThatNoPartSawIsZeroWithMinusInfinity) {
  const Part blind{{kNan, 5}, {-INFINITY}};
  const Part merged = MergeParts({blind, blind, blind}, 1, 2);
  EXPECT_THAT(merged.output, Each(0.0f));
  EXPECT_THAT(merged.lse, ElementsAre(-INFINITY));
}

TEST(MergeTest, NoPartsAreNoKeys) {
  const Part merged = MergeParts({}, 2, 3);
  EXPECT_THAT(merged.output, Each(0.0f));
  EXPECT_THAT(merged.lse, Each(-INFINITY));
}

TEST(MergeTest, NanReachesItsRowAlone) {
  const Part poisoned{{1, 2}, {kNan, 0}};
  const Part good{{3, 4}, {0, 0}};
  for (const auto& parts :
       {std::vector<Part>{poisoned, good}, {good, poisoned}}) {
    const Part merged = MergeParts(parts, 2, 1);
    EXPECT_TRUE(std::isnan(merged.output[0]));
    EXPECT_TRUE(std::isnan(merged.lse[0]));
    EXPECT_EQ(merged.output[1], 3);
    EXPECT_NEAR(merged.lse[1], std::log(2), 1e-6);
  }
}

TEST(MergeTest, LargeAndSmallLseNeitherOverflowNorVanish) {
  for (const float shift : {-1e30f, -1e4f, 500.0f, 1e30f}) {
    const Part merged = MergeParts({{{2}, {shift}}, {{4}, {shift}}}, 1, 1);
    EXPECT_NEAR(merged.output[0], 3, 1e-6) << shift;
    EXPECT_NEAR(merged.lse[0], shift + std::log(2),
                1e-6 * std::fabs(double{shift}))
        << shift;
  }
  const Part merged = MergeParts({{{2}, {-1000}}, {{4}, {1000}}}, 1, 1);
  EXPECT_EQ(merged.output[0], 4);
  EXPECT_EQ(merged.lse[0], 1000);
}

TEST(MergeTest, ResultMayBeWrittenOverAPart) {
  Part first{{1, 10}, {0, 0}};
  const Part second{{3, 30}, {0, 0}};
  const PartialAnswer answers[] = {{first.output.data(), first.lse.data()},
                                   {second.output.data(), second.lse.data()}};
  Merge(answers, nullptr, 2, 1, first.output.data(), first.lse.data());
  EXPECT_THAT(first.output, ElementsAre(2, 20));
  EXPECT_NEAR(first.lse[1], std::log(2), 1e-6);
}

// Key weights 1 and 2, a sink of 5: it takes its share of both parts.
TEST(MergeTest, SinkIsOneMoreLogitOfTheWhole) {
  const float sinks[] = {Log(5), Log(5)};
  const Part merged =
      MergeParts({{{8, 8}, {0, -INFINITY}}, {{4, kNan}, {Log(2), -INFINITY}}},
                 2, 1, sinks);
  EXPECT_NEAR(merged.output[0], 2, 1e-6);
  EXPECT_NEAR(merged.lse[0], std::log(8), 1e-6);
  EXPECT_EQ(merged.output[1], 0) << "a row without keys";
  EXPECT_EQ(merged.lse[1], -INFINITY);
}

TEST(MergeTest, SinkMayOutweighEveryKey) {
  const float sink = 900;
  const Part merged = MergeParts({{{8}, {0}}, {{4}, {1}}}, 1, 1, &sink);
  EXPECT_EQ(merged.output[0], 0);
  EXPECT_EQ(merged.lse[0], 900);
}

// Six parts and more rows, against the formula in long double.
TEST(MergeTest, SumsInF64AndRoundsOnce) {
  constexpr uint64_t kSeed = 5;
  SCOPED_TRACE(testing::Message() << "seed " << kSeed);
  test::Random random(kSeed);
  constexpr size_t kRows = 200;
  std::vector<Part> parts(6);
  for (Part& part : parts) {
    for (size_t row = 0; row < kRows; ++row) {
      part.output.push_back(static_cast<float>(random.Gaussian()));
      part.lse.push_back(static_cast<float>(3 * random.Gaussian()));
    }
  }
  const Part merged = MergeParts(parts, kRows, 1);
  for (size_t row = 0; row < kRows; ++row) {
    long double total = 0;
    long double sum = 0;
    long double magnitude = 0;
    for (const Part& part : parts) {
      const auto weight = std::exp(static_cast<long double>(part.lse[row]));
      total += weight;
      sum += weight * static_cast<long double>(part.output[row]);
      magnitude +=
          weight * std::fabs(static_cast<long double>(part.output[row]));
    }
    const auto expected = static_cast<double>(sum / total);
    EXPECT_NEAR(double{merged.output[row]}, expected,
                0x1p-24 * std::fabs(expected) +
                    1e-14 * static_cast<double>(magnitude / total));
    const auto lse = static_cast<double>(std::log(total));
    EXPECT_NEAR(double{merged.lse[row]}, lse, 0x1p-24 * std::fabs(lse) + 1e-14);
  }
}

// The sum goes through the parts in order, so their order may move the last
// bit of f64 and the same order never does.
TEST(MergeTest, RepetitionGivesTheSameBits) {
  const std::vector<Part> parts = {
      {{1e8f, 1}, {0.1f, 3}}, {{-1e8f, 2}, {0.1f, 2}}, {{1, 3}, {0.1f, 1}}};
  const Part once = MergeParts(parts, 2, 1);
  const Part again = MergeParts(parts, 2, 1);
  EXPECT_EQ(once.output, again.output);
  EXPECT_EQ(once.lse, again.lse);
}

}  // namespace
}  // namespace attn
