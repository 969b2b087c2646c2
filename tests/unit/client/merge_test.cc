#include "client/cpp/merge.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

namespace attn::client {
namespace {

using ::testing::DoubleNear;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// One row of one head: output [1, 1, 1, n], lse [1, 1, 1], both f64.
PartialAnswer Row(const std::vector<double>& output, double lse) {
  const auto dim = static_cast<int64_t>(output.size());
  return {Tensor::FromDoubles(output, {1, 1, 1, dim}).value(),
          Tensor::FromDoubles({lse}, {1, 1, 1}).value()};
}

std::vector<double> Output(const absl::StatusOr<PartialAnswer>& merged) {
  EXPECT_TRUE(merged.ok()) << merged.status();
  return merged.ok() ? *merged->output.ToDoubles() : std::vector<double>();
}

double Lse(const absl::StatusOr<PartialAnswer>& merged) {
  return merged.ok() ? merged->lse.ToDoubles()->front() : kNan;
}

std::string ErrorOf(absl::Span<const PartialAnswer> parts,
                    Layout layout = Layout::kBhsd,
                    absl::Span<const float> sinks = {}) {
  const auto merged = Merge(parts, layout, sinks);
  EXPECT_EQ(merged.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(merged.status().message());
}

// The last row of the example in proto/README.md, keys 0 and 1 | key 2.
TEST(MergeTest, ExampleByHand) {
  const auto merged =
      Merge({Row({21.0 / 5}, std::log(5.0)), Row({42}, std::log(16.0))});
  EXPECT_THAT(Output(merged), ElementsAre(DoubleNear(33, 1e-13)));
  EXPECT_NEAR(Lse(merged), std::log(21.0), 1e-15);
}

TEST(MergeTest, OnePartKeepsItsValues) {
  const auto merged = Merge({Row({0.1, -3e300}, 700.3)});
  EXPECT_THAT(Output(merged), ElementsAre(0.1, -3e300));
  EXPECT_EQ(Lse(merged), 700.3);
}

TEST(MergeTest, LargeLsesNeitherOverflowNorUnderflow) {
  for (const double lse : {-1e5, 1e5}) {
    const auto merged = Merge({Row({1}, lse), Row({3}, lse)});
    EXPECT_THAT(Output(merged), ElementsAre(DoubleNear(2, 1e-9)));
    EXPECT_NEAR(Lse(merged), lse + std::log(2.0), 1e-10);
  }
}

// Beside a mask of finfo.min everywhere the logarithm of 2 is nothing.
TEST(MergeTest, LseOfAMaskOfTheLowestFloatSplitsEvenly) {
  const auto merged = Merge({Row({1}, -1e30), Row({3}, -1e30)});
  EXPECT_THAT(Output(merged), ElementsAre(DoubleNear(2, 1e-15)));
}

TEST(MergeTest, PartWithoutKeysContributesNothing) {
  for (const double rubbish : {0.0, kNan, kInfinity}) {
    const PartialAnswer empty = Row({rubbish}, -kInfinity);
    const auto merged = Merge({empty, Row({7}, 0.5), empty});
    EXPECT_THAT(Output(merged), ElementsAre(7));
    EXPECT_EQ(Lse(merged), 0.5);
  }
}

TEST(MergeTest, RowWithoutKeysAnywhereIsZero) {
  const PartialAnswer empty = Row({kNan}, -kInfinity);
  const std::vector<float> sinks = {2.0F};
  for (const auto& merged :
       {Merge({empty, empty}), Merge({empty, empty}, Layout::kBhsd, sinks)}) {
    EXPECT_THAT(Output(merged), ElementsAre(0));
    EXPECT_EQ(Lse(merged), -kInfinity);
  }
}

TEST(MergeTest, NanOfAPartReachesTheWhole) {
  for (const double lse : {kNan, kInfinity}) {
    const auto merged =
        Merge({Row({1}, 0), Row({1}, lse), Row({1}, -kInfinity)});
    EXPECT_TRUE(std::isnan(Output(merged).at(0)));
    EXPECT_TRUE(std::isnan(Lse(merged)));
  }
  const PartialAnswer empty = Row({1}, -kInfinity);
  EXPECT_TRUE(std::isnan(Lse(Merge({empty, Row({1}, kNan), empty}))));
  // Allowed keys whose weight is 0 in f64 are allowed all the same.
  EXPECT_TRUE(
      std::isnan(Output(Merge({Row({1}, 0), Row({kNan}, -1000)})).at(0)));
}

TEST(MergeTest, SumsFromTheFirstPartToTheLast) {
  const PartialAnswer large = Row({1e30}, 0);
  const PartialAnswer minus_large = Row({-1e30}, 0);
  const PartialAnswer one = Row({1}, 0);
  EXPECT_THAT(Output(Merge({large, one, minus_large})), ElementsAre(0));
  EXPECT_THAT(Output(Merge({large, minus_large, one})),
              ElementsAre(DoubleNear(1.0 / 3, 1e-15)));
}

TEST(MergeTest, SinksJoinRowsThatHaveAKey) {
  const std::vector<float> sinks = {1.0F};
  const auto merged =
      Merge({Row({5}, -kInfinity), Row({4}, 1)}, Layout::kBhsd, sinks);
  EXPECT_THAT(Output(merged), ElementsAre(DoubleNear(2, 1e-15)));
  EXPECT_NEAR(Lse(merged), 1 + std::log(2.0), 1e-15);
  EXPECT_EQ(Lse(Merge({Row({4}, 1)}, Layout::kBhsd, {1000.0F})), 1000);
}

// Scores and values of a problem, and its softmax over any range of keys.
class Problem {
 public:
  static constexpr int64_t kBatch = 2, kHeads = 3, kRows = 4, kKeys = 10,
                           kDim = 5;

  Problem() {
    std::mt19937_64 random(17);
    std::normal_distribution<double> normal;
    for (int64_t i = 0; i < kBatch * kHeads * kRows * kKeys; ++i) {
      scores_.push_back(3 * normal(random));
    }
    for (int64_t i = 0; i < kBatch * kHeads * kKeys * kDim; ++i) {
      values_.push_back(normal(random));
    }
    // A row that sees no key at all, one that sees none of the first four.
    std::fill_n(scores_.begin() + kKeys, kKeys, -kInfinity);
    std::fill_n(scores_.begin() + 3 * kKeys, 4, -kInfinity);
  }

  // Sinks of every head for the answers from here on.
  void SetSinks(std::vector<float> sinks) { sinks_ = std::move(sinks); }

  // The answer over keys [begin, end) in `layout`.
  PartialAnswer Answer(int64_t begin, int64_t end, Layout layout,
                       DType dtype) const {
    std::vector<double> output(kBatch * kHeads * kRows * kDim, 0.0);
    std::vector<double> lse(kBatch * kHeads * kRows);
    for (int64_t row = 0; row < kBatch * kHeads * kRows; ++row) {
      double sum = 0;
      for (int64_t j = begin; j < end; ++j) {
        sum += std::exp(scores_[row * kKeys + j]);
      }
      if (sum > 0 && !sinks_.empty()) {
        sum += std::exp(double{sinks_[row / kRows % kHeads]});
      }
      lse[row] = std::log(sum);
      for (int64_t j = begin; sum > 0 && j < end; ++j) {
        const double weight = std::exp(scores_[row * kKeys + j]) / sum;
        for (int64_t c = 0; c < kDim; ++c) {
          output[OutputRow(row, layout) * kDim + c] +=
              weight * values_[(row / kRows * kKeys + j) * kDim + c];
        }
      }
    }
    return {Tensor::FromDoubles(output, OutputShape(layout), dtype).value(),
            Tensor::FromDoubles(lse, {kBatch, kHeads, kRows},
                                dtype == DType::kF64 ? dtype : DType::kF32)
                .value()};
  }

 private:
  static int64_t OutputRow(int64_t row, Layout layout) {
    const int64_t b = row / (kHeads * kRows);
    const int64_t h = row / kRows % kHeads;
    const int64_t l = row % kRows;
    return layout == Layout::kBshd || layout == Layout::kBse
               ? (b * kRows + l) * kHeads + h
               : row;
  }
  static Shape OutputShape(Layout layout) {
    switch (layout) {
      case Layout::kBshd:
        return {kBatch, kRows, kHeads, kDim};
      case Layout::kBse:
        return {kBatch, kRows, kHeads * kDim};
      default:
        return {kBatch, kHeads, kRows, kDim};
    }
  }

  std::vector<double> scores_;  // [kBatch, kHeads, kRows, kKeys]
  std::vector<double> values_;  // [kBatch, kHeads, kKeys, kDim]
  std::vector<float> sinks_;    // [kHeads] or empty
};

// Half a last place of the parts, of their f32 lse, and of the result.
double Tolerance(DType dtype) {
  switch (dtype) {
    case DType::kF64:
      return 1e-14;
    case DType::kF32:
      return 2e-6;
    case DType::kF16:
      return 0x1p-9;
    default:
      return 0x1p-6;
  }
}

void ExpectNear(const PartialAnswer& found, const PartialAnswer& expected,
                double tolerance) {
  EXPECT_EQ(found.output.dtype(), expected.output.dtype());
  EXPECT_EQ(found.output.shape(), expected.output.shape());
  EXPECT_EQ(found.lse.dtype(), expected.lse.dtype());
  EXPECT_EQ(found.lse.shape(), expected.lse.shape());
  for (const auto member : {&PartialAnswer::output, &PartialAnswer::lse}) {
    const auto a = *(found.*member).ToDoubles();
    const auto b = *(expected.*member).ToDoubles();
    ASSERT_EQ(a.size(), b.size());
    for (size_t i = 0; i < a.size(); ++i) {
      if (std::isinf(b[i])) {
        EXPECT_EQ(a[i], b[i]) << i;
      } else {
        EXPECT_NEAR(a[i], b[i], tolerance * std::max(1.0, std::fabs(b[i])))
            << i;
      }
    }
  }
}

TEST(MergeTest, PartsGiveTheWholeInEveryLayoutAndDType) {
  const Problem problem;
  for (const Layout layout :
       {Layout::kUnspecified, Layout::kBhsd, Layout::kBshd, Layout::kBse}) {
    for (const DType dtype :
         {DType::kF64, DType::kF32, DType::kF16, DType::kBf16}) {
      SCOPED_TRACE(DTypeName(dtype));
      SCOPED_TRACE(static_cast<int>(layout));
      const auto part = [&](int64_t begin, int64_t end) {
        return problem.Answer(begin, end, layout, dtype);
      };
      // Parts of 4, 0, 1 and 5 keys.
      const auto merged =
          Merge({part(0, 4), part(4, 4), part(4, 5), part(5, 10)}, layout);
      ASSERT_TRUE(merged.ok()) << merged.status();
      ExpectNear(*merged, part(0, 10), Tolerance(dtype));
    }
  }
}

// Row 3 sees no key of the first part: a sink given to that part would be lost.
TEST(MergeTest, SinksOfEveryHeadGiveTheWholeWithSinks) {
  Problem problem;
  for (const Layout layout : {Layout::kBhsd, Layout::kBse}) {
    const auto answer = [&](int64_t begin, int64_t end) {
      return problem.Answer(begin, end, layout, DType::kF64);
    };
    const std::vector<float> sinks = {1.0F, -2.0F, 3.0F};
    problem.SetSinks({});
    const auto merged = Merge({answer(0, 4), answer(4, 10)}, layout, sinks);
    problem.SetSinks(sinks);
    ASSERT_TRUE(merged.ok()) << merged.status();
    ExpectNear(*merged, answer(0, 10), 1e-14);
  }
}

TEST(MergeTest, MergedAnswersMergeAgain) {
  const Problem problem;
  const auto part = [&](int64_t begin, int64_t end) {
    return problem.Answer(begin, end, Layout::kBhsd, DType::kF64);
  };
  const auto left = Merge({part(0, 4), part(4, 5)});
  const auto nested = Merge({*left, part(5, 10)});
  const auto flat = Merge({part(0, 4), part(4, 5), part(5, 10)});
  const auto reversed = Merge({part(5, 10), part(4, 5), part(0, 4)});
  ASSERT_TRUE(nested.ok() && flat.ok() && reversed.ok());
  ExpectNear(*nested, *flat, 1e-14);
  ExpectNear(*reversed, *flat, 1e-14);
}

// The half way between two f16 numbers, from above: 1 + 2^-11 + 2^-40. Rounded
// to f32 on the way it would become the midpoint and end at 1.
TEST(MergeTest, OutputIsRoundedOnce) {
  const auto row = [](double value, double lse) {
    return PartialAnswer{
        Tensor::FromDoubles({value}, {1, 1, 1, 1}, DType::kF16).value(),
        Tensor::FromDoubles({lse}, {1, 1, 1}).value()};
  };
  const auto merged = Merge({row(1, 0), row(1 + 0x1p-10, 0x1p-28)});
  EXPECT_EQ(Output(merged), std::vector<double>{1 + 0x1p-10});
}

TEST(MergeTest, EmptyQueryGivesEmptyAnswers) {
  const PartialAnswer empty = {Tensor::Own(DType::kF32, {1, 2, 0, 4}, ""),
                               Tensor::Own(DType::kF32, {1, 2, 0}, "")};
  const auto merged = Merge({empty, empty});
  ASSERT_TRUE(merged.ok()) << merged.status();
  EXPECT_THAT(merged->output.shape(), ElementsAre(1, 2, 0, 4));
  EXPECT_TRUE(merged->output.bytes().empty());
}

TEST(MergeTest, NoPartsAndMissingTensorsAreNamed) {
  EXPECT_EQ(ErrorOf({}), "parts must not be empty; got 0");
  PartialAnswer part = Row({1}, 0);
  part.lse = Tensor();
  EXPECT_EQ(ErrorOf({Row({1}, 0), part}),
            "parts[1].lse is required, ask for it with output.return_lse; got "
            "nothing");
  EXPECT_EQ(ErrorOf({part}),
            "parts[0].lse is required, ask for it with output.return_lse; got "
            "nothing");
  part.output = Tensor();
  EXPECT_EQ(ErrorOf({part}), "parts[0].output is required; got nothing");
}

TEST(MergeTest, PartsThatDifferAreNamed) {
  EXPECT_EQ(ErrorOf({Row({1}, 0), Row({1, 2}, 0)}),
            "parts[1].output.shape must equal that of parts[0]; got "
            "[1, 1, 1, 2] vs [1, 1, 1, 1]");
  PartialAnswer part = Row({1}, 0);
  part.output = *part.output.ConvertTo(DType::kBf16);
  EXPECT_EQ(ErrorOf({Row({1}, 0), part}),
            "parts[1].output.dtype must equal that of parts[0]; got bf16 vs "
            "f64");
  part = Row({1}, 0);
  part.lse = *part.lse.ConvertTo(DType::kF32);
  EXPECT_EQ(ErrorOf({Row({1}, 0), part}),
            "parts[1].lse.dtype must equal that of parts[0]; got f32 vs f64");
}

TEST(MergeTest, TensorsThatAreNoAnswersAreNamed) {
  PartialAnswer part = Row({1}, 0);
  part.output = Tensor::Own(DType::kI64, {1, 1, 1, 1}, "abcdefgh");
  EXPECT_EQ(ErrorOf({part}),
            "parts[0].output.dtype must be f32, f16, bf16 or f64; got i64");
  part = Row({1}, 0);
  part.lse = *part.lse.ConvertTo(DType::kBf16);
  EXPECT_EQ(ErrorOf({part}), "parts[0].lse.dtype must be f32 or f64; got bf16");
  part.lse = Tensor::Own(DType::kF32, {1, 1, 1}, "ab");
  EXPECT_THAT(ErrorOf({part}), HasSubstr("parts[0].lse: data must be"));
}

TEST(MergeTest, LseMustFitTheOutputInItsLayout) {
  const auto answer = [](Shape output, Shape lse) {
    const auto zeros = [](Shape shape) {
      const std::vector<double> values(*NumElements(shape), 0.0);
      return Tensor::FromDoubles(values, std::move(shape)).value();
    };
    return PartialAnswer{zeros(std::move(output)), zeros(std::move(lse))};
  };
  EXPECT_EQ(ErrorOf({answer({1, 2, 3, 4}, {1, 2, 3})}, Layout::kBshd),
            "parts[0].lse.shape must be [B, num_q_heads, q_len] of "
            "parts[0].output.shape [1, 2, 3, 4]; got [1, 2, 3]");
  EXPECT_THAT(ErrorOf({answer({1, 2, 3, 4}, {1, 2, 3})}, Layout::kBse),
              HasSubstr("must have 3 axes in this layout; got [1, 2, 3, 4]"));
  EXPECT_THAT(ErrorOf({answer({1, 3, 8}, {1, 3, 3})}, Layout::kBse),
              HasSubstr("got [1, 3, 3]"));
  EXPECT_THAT(ErrorOf({answer({1, 3, 8}, {1, 0, 3})}, Layout::kBse),
              HasSubstr("got [1, 0, 3]"));
  EXPECT_THAT(ErrorOf({answer({1, 3, 8}, {3})}, Layout::kBse),
              HasSubstr("got [3]"));
  EXPECT_THAT(ErrorOf({answer({}, {})}), HasSubstr("must have 4 axes"));
  EXPECT_EQ(ErrorOf({Row({1}, 0)}, static_cast<Layout>(7)),
            "layout must be an enum number from 0 to 3; got 7");
}

TEST(MergeTest, SinksMustBeFiniteAndOneForEachHead) {
  EXPECT_EQ(ErrorOf({Row({1}, 0)}, Layout::kBhsd, {1.0F, 2.0F}),
            "sinks must be empty or have num_q_heads = 1 entries; got 2");
  EXPECT_EQ(ErrorOf({Row({1}, 0)}, Layout::kBhsd,
                    {std::numeric_limits<float>::infinity()}),
            "sinks[0] must be finite; got inf");
}

}  // namespace
}  // namespace attn::client
