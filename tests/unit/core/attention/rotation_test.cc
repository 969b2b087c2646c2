// Angles against long double arithmetic, rows against the form that models
// publish.
#include "core/attention/rotation.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/attention_case.h"

namespace attn {
namespace {

using testing::ElementsAre;

// A plan with rotation, and what FillRotation makes of it, widened.
struct Rotation {
  explicit Rotation(const AttentionPlan& filled, const std::byte* cos = nullptr,
                    const std::byte* sin = nullptr)
      : plan(filled),
        query_bytes(static_cast<size_t>(QueryRotationBytes(plan))),
        key_bytes(static_cast<size_t>(KeyRotationBytes(plan))),
        buffers{.given_cos = cos,
                .given_sin = sin,
                .query = query_bytes.data(),
                .key = key_bytes.data()} {
    FillRotation(plan, buffers);
    query = test::ToDoubles(plan.compute_dtype(), query_bytes);
    key = test::ToDoubles(plan.compute_dtype(), key_bytes);
  }

  double QueryCos(int64_t row, int64_t pair) const {
    return query[static_cast<size_t>(row * plan.rope.num_pairs() + pair)];
  }
  double QuerySin(int64_t row, int64_t pair) const {
    return QueryCos(plan.geometry.q_len + row, pair);
  }
  double KeyCos(int64_t row, int64_t pair) const {
    return key[static_cast<size_t>(row * plan.rope.num_pairs() + pair)];
  }
  double KeySin(int64_t row, int64_t pair) const {
    return KeyCos(plan.geometry.kv_len + row, pair);
  }

  AttentionPlan plan;
  std::vector<std::byte> query_bytes, key_bytes;
  RotationBuffers buffers;
  std::vector<double> query, key;  // cos, then sin
};

AttentionPlan Plan(DataType dtype, const RopePlan& rope, int64_t q_len,
                   int64_t kv_len) {
  AttentionPlan plan;
  plan.dtype = dtype;
  plan.geometry.q_len = q_len;
  plan.geometry.kv_len = kv_len;
  plan.rope = rope;
  return plan;
}

// Positions of the query and none of the key.
Rotation AtPositions(DataType dtype, RopePlan rope,
                     const std::vector<int64_t>& positions) {
  rope.positions = positions;
  return Rotation(Plan(dtype, rope, static_cast<int64_t>(positions.size()), 0));
}

long double ExactAngle(const RopePlan& rope, int64_t position, int64_t pair) {
  const long double exponent = -2.0L * static_cast<long double>(pair) /
                               static_cast<long double>(rope.rotary_dim);
  return static_cast<long double>(position) /
         static_cast<long double>(rope.scaling_factor) *
         std::pow(static_cast<long double>(rope.base), exponent);
}

// f64 rounds the exponent, the power and a few products; an angle of millions
// multiplies that, and so does the start of its block of 64 positions. Then the
// cosine itself is rounded.
double AngleBound(const RopePlan& rope, long double angle, DataType dtype) {
  const double roundings = 8 + std::log(rope.base);
  const double rounded = dtype == DataType::kF64 ? 0x1p-51 : 0x1p-24;
  const double block = 64 / rope.scaling_factor;
  return roundings * 0x1p-53 * (static_cast<double>(std::fabs(angle)) + block) +
         1.01 * rounded;
}

const std::vector<int64_t> kPositions = {0,
                                         1,
                                         2,
                                         63,
                                         64,
                                         65,
                                         127,
                                         128,
                                         1000,
                                         131071,
                                         (int64_t{1} << 24) + 1,
                                         int64_t{1} << 31,
                                         (int64_t{1} << 40) - 1,
                                         int64_t{1} << 40,
                                         -1,
                                         -63,
                                         -64,
                                         -65,
                                         -(int64_t{1} << 40) + 3};

void ExpectExactAngles(const RopePlan& rope, DataType dtype) {
  const Rotation rotation = AtPositions(dtype, rope, kPositions);
  for (size_t row = 0; row < kPositions.size(); ++row) {
    const auto r = static_cast<int64_t>(row);
    for (int64_t i = 0; i < rope.num_pairs(); ++i) {
      const long double angle = ExactAngle(rope, kPositions[row], i);
      const double bound = AngleBound(rope, angle, dtype);
      ASSERT_NEAR(rotation.QueryCos(r, i), double(std::cos(angle)), bound)
          << "position " << kPositions[row] << " pair " << i;
      ASSERT_NEAR(rotation.QuerySin(r, i), double(std::sin(angle)), bound)
          << "position " << kPositions[row] << " pair " << i;
    }
  }
}

TEST(RotationTest, AnglesEqualThoseOfLongDouble) {
  for (const DataType dtype : {DataType::kF32, DataType::kF64}) {
    for (const double base : {1.0, 2.5, 10000.0, 500000.0}) {
      for (const int64_t rotary_dim : {2, 6, 64, 128}) {
        SCOPED_TRACE(testing::Message() << base << " dim " << rotary_dim);
        ExpectExactAngles({.rotary_dim = rotary_dim, .base = base}, dtype);
      }
    }
  }
}

TEST(RotationTest, ScalingFactorDividesThePosition) {
  for (const double factor : {0.25, 3.0, 8.0}) {
    ExpectExactAngles(
        {.rotary_dim = 16, .base = 10000, .scaling_factor = factor},
        DataType::kF64);
  }
  const RopePlan halved{.rotary_dim = 8, .base = 10000, .scaling_factor = 2};
  const RopePlan plain{.rotary_dim = 8, .base = 10000};
  EXPECT_EQ(AtPositions(DataType::kF32, halved, {2, 6}).query,
            AtPositions(DataType::kF32, plain, {1, 3}).query);
}

// Up to a million the f64 angle is so good that f32 holds the nearest cosine.
TEST(RotationTest, F32AnglesAreTheF64OnesRoundedOnce) {
  const RopePlan rope{.rotary_dim = 64, .base = 10000};
  const std::vector<int64_t> positions = {0, 5, 77, 4096, 1000000, -12345};
  const Rotation narrow = AtPositions(DataType::kF32, rope, positions);
  const Rotation wide = AtPositions(DataType::kF64, rope, positions);
  ASSERT_EQ(narrow.query.size(), wide.query.size());
  for (size_t i = 0; i < wide.query.size(); ++i) {
    ASSERT_EQ(narrow.query[i], double{static_cast<float>(wide.query[i])}) << i;
  }
}

TEST(RotationTest, RowsDoNotDependOnTheirNeighbours) {
  const RopePlan rope{.rotary_dim = 6, .base = 10000};
  const std::vector<int64_t> positions = {130, 5, 131, -7, 130};
  const Rotation all = AtPositions(DataType::kF64, rope, positions);
  for (size_t r = 0; r < positions.size(); ++r) {
    const Rotation one = AtPositions(DataType::kF64, rope, {positions[r]});
    for (int64_t i = 0; i < 3; ++i) {
      EXPECT_EQ(all.QueryCos(static_cast<int64_t>(r), i), one.QueryCos(0, i));
      EXPECT_EQ(all.QuerySin(static_cast<int64_t>(r), i), one.QuerySin(0, i));
    }
  }
}

TEST(RotationTest, EveryInt64IsAPosition) {
  constexpr int64_t kMin = std::numeric_limits<int64_t>::min();
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
  const RopePlan rope{.rotary_dim = 4, .base = 10000};
  const Rotation rotation =
      AtPositions(DataType::kF64, rope, {kMin, kMin + 1, kMax - 1, kMax});
  for (int64_t row = 0; row < 4; ++row) {
    for (int64_t i = 0; i < 2; ++i) {
      EXPECT_NEAR(
          std::hypot(rotation.QueryCos(row, i), rotation.QuerySin(row, i)), 1,
          1e-14);
    }
  }
}

TEST(RotationTest, RowsWithoutPositionsCountFromZero) {
  const RopePlan rope{.rotary_dim = 2, .base = 10000};
  const Rotation rotation(Plan(DataType::kF64, rope, 2, 3));
  for (int64_t row = 0; row < 2; ++row) {
    EXPECT_NEAR(rotation.QueryCos(row, 0), std::cos(double(row)), 1e-15);
    EXPECT_NEAR(rotation.QuerySin(row, 0), std::sin(double(row)), 1e-15);
  }
  for (int64_t row = 0; row < 3; ++row) {
    EXPECT_NEAR(rotation.KeyCos(row, 0), std::cos(double(row)), 1e-15);
    EXPECT_NEAR(rotation.KeySin(row, 0), std::sin(double(row)), 1e-15);
  }
}

TEST(RotationTest, QueryAndKeyHavePositionsOfTheirOwn) {
  RopePlan rope{.rotary_dim = 2, .base = 10000};
  rope.positions = {7};
  rope.key_positions = {-3, 9};
  const Rotation rotation(Plan(DataType::kF64, rope, 1, 2));
  EXPECT_NEAR(rotation.QuerySin(0, 0), std::sin(7.0), 1e-15);
  EXPECT_NEAR(rotation.KeySin(0, 0), std::sin(-3.0), 1e-15);
  EXPECT_NEAR(rotation.KeySin(1, 0), std::sin(9.0), 1e-15);
}

struct TableCase {
  DataType table;
  DataType query;
};

TEST(RotationTest, TablesOfEveryDtypeAreWidenedExactly) {
  for (const auto& [table, query] :
       {TableCase{DataType::kF32, DataType::kF32},
        TableCase{DataType::kF16, DataType::kF16},
        TableCase{DataType::kBF16, DataType::kBF16},
        TableCase{DataType::kF32, DataType::kF16},
        TableCase{DataType::kF32, DataType::kF64},
        TableCase{DataType::kF64, DataType::kF64}}) {
    test::Random random(9);
    const auto cos = test::RandomTensor(table, 5 * 3, random);
    const auto sin = test::RandomTensor(table, 5 * 3, random);
    RopePlan rope{.rotary_dim = 6, .has_tables = true, .table_dtype = table};
    rope.key_positions = {4, 0, 4, 2};
    const Rotation rotation(Plan(query, rope, 2, 4), cos.data(), sin.data());
    const auto wide_cos = test::ToDoubles(table, cos);
    const auto wide_sin = test::ToDoubles(table, sin);
    for (int64_t i = 0; i < 3; ++i) {
      for (int64_t row = 0; row < 2; ++row) {
        const auto at = static_cast<size_t>(row * 3 + i);
        EXPECT_EQ(rotation.QueryCos(row, i), wide_cos[at]);
        EXPECT_EQ(rotation.QuerySin(row, i), wide_sin[at]);
      }
      for (int64_t row = 0; row < 4; ++row) {
        const int64_t place = rope.KeyPosition(row) * 3 + i;
        EXPECT_EQ(rotation.KeyCos(row, i), wide_cos[size_t(place)]);
        EXPECT_EQ(rotation.KeySin(row, i), wide_sin[size_t(place)]);
      }
    }
  }
}

TEST(RotationTest, WithoutRopeThereIsNothingToTurn) {
  const AttentionPlan plan = Plan(DataType::kF32, {}, 3, 4);
  EXPECT_EQ(QueryRotationBytes(plan), 0);
  EXPECT_EQ(KeyRotationBytes(plan), 0);
  EXPECT_FALSE(QueryRotation(plan, {}).is_on());
  EXPECT_FALSE(KeyRotation(plan, {}).is_on());
}

TEST(RotationTest, ViewsFindTheRowsOfQueryAndKey) {
  const RopePlan rope{.rotary_dim = 4, .is_interleaved = true, .base = 10000};
  const Rotation made(Plan(DataType::kF32, rope, 2, 3));
  const RotationView query = QueryRotation(made.plan, made.buffers);
  const RotationView key = KeyRotation(made.plan, made.buffers);
  EXPECT_TRUE(query.is_interleaved);
  EXPECT_EQ(query.num_pairs, 2);
  EXPECT_EQ(double{query.Sin<float>(1)[0]}, made.QuerySin(1, 0));
  EXPECT_EQ(double{key.Cos<float>(2)[1]}, made.KeyCos(2, 1));
  EXPECT_EQ(double{key.Sin<float>(2)[1]}, made.KeySin(2, 1));
}

// Two rows of two pairs: no turn, then a quarter and a half turn.
template <typename Float>
struct QuarterTurns {
  const Float cos[4] = {1, 1, 0, -1};
  const Float sin[4] = {0, 0, 1, 0};

  RotationView View(bool is_interleaved) const {
    return {.cos = reinterpret_cast<const std::byte*>(cos),
            .sin = reinterpret_cast<const std::byte*>(sin),
            .num_pairs = 2,
            .is_interleaved = is_interleaved};
  }
};

TEST(RotateRowTest, HalfSplitPairsChannelsHalfARowApart) {
  const QuarterTurns<float> turns;
  std::vector<float> row = {1, 2, 3, 4};
  RotateRow(turns.View(false), 0, row.data());
  EXPECT_THAT(row, ElementsAre(1, 2, 3, 4));
  RotateRow(turns.View(false), 1, row.data());
  EXPECT_THAT(row, ElementsAre(-3, -2, 1, -4));
}

TEST(RotateRowTest, InterleavedPairsNeighbours) {
  const QuarterTurns<float> turns;
  std::vector<float> row = {1, 2, 3, 4};
  RotateRow(turns.View(true), 1, row.data());
  EXPECT_THAT(row, ElementsAre(-2, 1, -3, -4));
}

TEST(RotateRowTest, ChannelsBeyondTheRotaryOnesStay) {
  const QuarterTurns<float> turns;
  for (const bool is_interleaved : {false, true}) {
    std::vector<float> row = {1, 2, 3, 4, 5, NAN};
    RotateRow(turns.View(is_interleaved), 1, row.data());
    EXPECT_EQ(row[4], 5);
    EXPECT_TRUE(std::isnan(row[5]));
  }
}

TEST(RotateRowTest, DoublesTurnAlike) {
  const QuarterTurns<double> turns;
  std::vector<double> row = {1, 2, 3, 4};
  RotateRow(turns.View(false), 1, row.data());
  EXPECT_THAT(row, ElementsAre(-3, -2, 1, -4));
}

// Hugging Face's Llama: q * cat(cos, cos) + cat(-q2, q1) * cat(sin, sin), with
// angles position * base^(-2 i / dim).
TEST(RotateRowTest, EqualsLlamasRotateHalf) {
  constexpr int64_t kDim = 32;
  constexpr int64_t kHalf = kDim / 2;
  const RopePlan rope{.rotary_dim = kDim, .base = 10000};
  const std::vector<int64_t> positions = {0, 1, 50, 4095};
  const Rotation rotation = AtPositions(DataType::kF64, rope, positions);
  test::Random random(3);
  for (size_t r = 0; r < positions.size(); ++r) {
    std::vector<double> x(kDim);
    for (double& value : x) value = random.Gaussian();
    std::vector<double> turned = x;
    RotateRow(QueryRotation(rotation.plan, rotation.buffers),
              static_cast<int64_t>(r), turned.data());
    for (int64_t c = 0; c < kDim; ++c) {
      const double angle = static_cast<double>(positions[r]) *
                           std::pow(10000.0, -2.0 * double(c % kHalf) / kDim);
      const double half =
          c < kHalf ? -x[size_t(c + kHalf)] : x[size_t(c - kHalf)];
      EXPECT_NEAR(turned[size_t(c)],
                  x[size_t(c)] * std::cos(angle) + half * std::sin(angle),
                  1e-11);
    }
  }
}

TEST(RotateRowTest, ProductDependsOnTheDistanceAlone) {
  const RopePlan rope{.rotary_dim = 8, .is_interleaved = true, .base = 10000};
  const std::vector<int64_t> positions = {5, 2, 1005, 1002, -20, -23};
  const Rotation rotation = AtPositions(DataType::kF64, rope, positions);
  const RotationView view = QueryRotation(rotation.plan, rotation.buffers);
  const auto product = [&](int64_t query_row, int64_t key_row) {
    double query[] = {1, -2, 3, 0.5, -1, 2, 4, 1};
    double key[] = {2, 1, -1, 3, 0.25, -2, 1, 5};
    RotateRow(view, query_row, query);
    RotateRow(view, key_row, key);
    double sum = 0;
    for (int c = 0; c < 8; ++c) sum += query[c] * key[c];
    return sum;
  };
  EXPECT_NEAR(product(2, 3), product(0, 1), 1e-11);
  EXPECT_NEAR(product(4, 5), product(0, 1), 1e-11);
  EXPECT_GT(std::fabs(product(0, 3) - product(0, 1)), 0.1);
}

}  // namespace
}  // namespace attn
