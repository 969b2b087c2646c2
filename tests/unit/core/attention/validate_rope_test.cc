// Every rule about rotary embedding: a valid request, one thing changed, and
// the exact error that must follow; then what the plan holds.
#include "core/attention/validate_rope.h"

#include <limits>
#include <optional>
#include <ostream>
#include <string>

#include "core/attention/validate.h"
#include "core/base/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/core/attention/validation_rule.h"

namespace attn::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using S = RequestSpec;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

// 3 rows, 5 keys, head_dim 8.
CaseOptions Options() {
  CaseOptions options;
  options.q_len = 3;
  options.kv_len = 5;
  options.head_dim = 8;
  options.params.rope = RopeParams{.base = 10000};
  return options;
}

// Tables of 6 rows for 4 pairs.
RequestSpec SpecWithTables() {
  CaseOptions options = Options();
  options.params.rope = RopeParams{};
  options.rope_table_rows = 6;
  return MakeSpec(options);
}

RopeParams& Rope(RequestSpec& spec) { return *spec.params.rope; }

class RopeRuleTest : public testing::TestWithParam<ValidationRule> {};

TEST_P(RopeRuleTest, IsRefusedWithTheExactError) {
  ExpectRefused(MakeSpec(Options()), GetParam());
}

INSTANTIATE_TEST_SUITE_P(
    Numbers, RopeRuleTest,
    testing::Values(
        Option(
            "BaseNegative", [](S& s) { Rope(s).base = -1; }, "params.rope.base",
            "must be finite and not negative; got -1"),
        Option(
            "BaseNan", [](S& s) { Rope(s).base = kNan; }, "params.rope.base",
            "must be finite and not negative; got nan"),
        Option(
            "BaseInfinite", [](S& s) { Rope(s).base = kInfinity; },
            "params.rope.base", "must be finite and not negative; got inf"),
        Option(
            "FactorNegative", [](S& s) { Rope(s).scaling_factor = -0.5f; },
            "params.rope.scaling_factor",
            "must be finite and not negative; got -0.5"),
        Option(
            "FactorNan", [](S& s) { Rope(s).scaling_factor = kNan; },
            "params.rope.scaling_factor",
            "must be finite and not negative; got nan"),
        Option(
            "FactorInfinite", [](S& s) { Rope(s).scaling_factor = kInfinity; },
            "params.rope.scaling_factor",
            "must be finite and not negative; got inf"),
        Option(
            "RotaryDimOdd", [](S& s) { Rope(s).rotary_dim = 7; },
            "params.rope.rotary_dim",
            "must be even and at most head_dim 8 (0 stands for head_dim); "
            "got 7"),
        Option(
            "RotaryDimLarge", [](S& s) { Rope(s).rotary_dim = 10; },
            "params.rope.rotary_dim",
            "must be even and at most head_dim 8 (0 stands for head_dim); "
            "got 10"),
        Option(
            "RotaryDimNegative", [](S& s) { Rope(s).rotary_dim = -2; },
            "params.rope.rotary_dim",
            "must be even and at most head_dim 8 (0 stands for head_dim); "
            "got -2"),
        Option(
            "HeadDimOdd",
            [](S& s) {
              Reshape(s.query, {1, 2, 3, 7});
              Reshape(s.key, {1, 2, 5, 7});
            },
            "params.rope.rotary_dim",
            "must be even and at most head_dim 7 (0 stands for head_dim); "
            "got 0")),
    NameOfRule);

INSTANTIATE_TEST_SUITE_P(
    Positions, RopeRuleTest,
    testing::Values(
        Option(
            "TooFew",
            [](S& s) {
              Rope(s).positions = {1, 2};
            },
            "params.rope.positions",
            "must be empty or have q_len = 3 entries; got 2"),
        Option(
            "TooMany",
            [](S& s) {
              Rope(s).positions = {1, 2, 3, 4};
            },
            "params.rope.positions",
            "must be empty or have q_len = 3 entries; got 4"),
        Option(
            "TooFewOfKeys",
            [](S& s) {
              Rope(s).key_positions = {1, 2, 3, 4};
            },
            "params.rope.key_positions",
            "must be empty or have kv_len = 5 entries; got 4"),
        Option(
            "NoneOfKeysWhereThoseOfTheQueryDoNotFit",
            [](S& s) {
              Rope(s).positions = {1, 2, 3};
            },
            "params.rope.key_positions",
            "must be given where positions are and kv_len 5 is not q_len 3; "
            "got none"),
        Option(
            "CountedEvenWhereNothingTurns",
            [](S& s) {
              Rope(s).base = 0;
              Rope(s).positions = {1};
            },
            "params.rope.positions",
            "must be empty or have q_len = 3 entries; got 1")),
    NameOfRule);

class RopeTableRuleTest : public testing::TestWithParam<ValidationRule> {};

TEST_P(RopeTableRuleTest, IsRefusedWithTheExactError) {
  ExpectRefused(SpecWithTables(), GetParam());
}

INSTANTIATE_TEST_SUITE_P(
    Tables, RopeTableRuleTest,
    testing::Values(
        Option(
            "BesideBase", [](S& s) { Rope(s).base = 10000; },
            "params.rope.base",
            "must be 0 where cos and sin are given; got 10000"),
        Option(
            "BesideFactor", [](S& s) { Rope(s).scaling_factor = 2; },
            "params.rope.scaling_factor",
            "must be 0 where cos and sin are given; got 2"),
        Tensor(
            "NoSin", [](S& s) { s.rope_sin.is_present = false; },
            "params.rope.sin", "is required; got nothing"),
        Tensor(
            "NoCos", [](S& s) { s.rope_cos.is_present = false; },
            "params.rope.cos", "is required; got nothing"),
        Tensor(
            "DtypeOfNeither", [](S& s) { Retype(s.rope_cos, DataType::kF16); },
            "params.rope.cos.dtype", "must be F32 or query.dtype F32; got F16"),
        Tensor(
            "DtypeOfIntegers", [](S& s) { Retype(s.rope_sin, DataType::kI32); },
            "params.rope.sin.dtype", "must be F32 or query.dtype F32; got I32"),
        Tensor(
            "DtypesDiffer",
            [](S& s) {
              for (TensorSpec* tensor :
                   {&s.query, &s.key, &s.value, &s.rope_sin}) {
                Retype(*tensor, DataType::kBF16);
              }
            },
            "params.rope.sin.dtype",
            "must equal params.rope.cos.dtype; got BF16 vs F32"),
        Tensor(
            "TooFewBytes", [](S& s) { --s.rope_cos.data_bytes; },
            "params.rope.cos.data",
            "must hold 96 bytes (shape [6, 4] of F32); got 95"),
        Tensor(
            "OneAxis", [](S& s) { Reshape(s.rope_cos, {24}); },
            "params.rope.cos.shape",
            "must be [max_position, rotary_dim / 2 = 4]; got [24]"),
        Tensor(
            "ThreeAxes",
            [](S& s) {
              Reshape(s.rope_sin, {1, 6, 4});
            },
            "params.rope.sin.shape",
            "must be [max_position, rotary_dim / 2 = 4]; got [1, 6, 4]"),
        Tensor(
            "AsWideAsTheHead",
            [](S& s) {
              Reshape(s.rope_cos, {6, 8});
            },
            "params.rope.cos.shape",
            "must be [max_position, rotary_dim / 2 = 4]; got [6, 8]"),
        Tensor(
            "WidthOfTheWholeHeadForAPart", [](S& s) { Rope(s).rotary_dim = 4; },
            "params.rope.cos.shape",
            "must be [max_position, rotary_dim / 2 = 2]; got [6, 4]"),
        Tensor(
            "RowsDiffer",
            [](S& s) {
              Reshape(s.rope_sin, {5, 4});
            },
            "params.rope.sin.shape[0]",
            "must equal params.rope.cos.shape[0]; got 5 vs 6")),
    NameOfRule);

INSTANTIATE_TEST_SUITE_P(
    PlacesInTables, RopeTableRuleTest,
    testing::Values(Option(
                        "PositionBeyond",
                        [](S& s) {
                          Rope(s).positions = {0, 6, 1};
                          Rope(s).key_positions = {0, 1, 2, 3, 4};
                        },
                        "params.rope.positions[1]",
                        "must be a row of the tables, from 0 to 5; got 6"),
                    Option(
                        "PositionNegative",
                        [](S& s) {
                          Rope(s).positions = {0, 1, -1};
                          Rope(s).key_positions = {0, 1, 2, 3, 4};
                        },
                        "params.rope.positions[2]",
                        "must be a row of the tables, from 0 to 5; got -1"),
                    Option(
                        "KeyPositionBeyond",
                        [](S& s) {
                          Rope(s).key_positions = {0, 1, 2, 3, 99};
                        },
                        "params.rope.key_positions[4]",
                        "must be a row of the tables, from 0 to 5; got 99"),
                    Option(
                        "CountedKeysBeyond",
                        [](S& s) {
                          Reshape(s.rope_cos, {4, 4});
                          Reshape(s.rope_sin, {4, 4});
                        },
                        "params.rope.key_positions",
                        "must be a row of the tables, from 0 to 3; got 4"),
                    Option(
                        "CountedRowsBeyond",
                        [](S& s) {
                          Reshape(s.rope_cos, {2, 4});
                          Reshape(s.rope_sin, {2, 4});
                        },
                        "params.rope.positions",
                        "must be a row of the tables, from 0 to 1; got 2")),
    NameOfRule);

RopePlan PlanOf(const RequestSpec& spec) {
  const auto plan = ValidateRequest(spec, {});
  EXPECT_TRUE(plan.ok()) << plan.status();
  return plan.ok() ? plan->rope : RopePlan{};
}

TEST(RopePlanTest, WithoutRopeOrWithoutAnglesNothingTurns) {
  RequestSpec spec = MakeSpec(Options());
  spec.params.rope.reset();
  EXPECT_FALSE(PlanOf(spec).is_on());
  spec.params.rope = RopeParams{};
  EXPECT_FALSE(PlanOf(spec).is_on());
  spec.params.rope = RopeParams{.rotary_dim = 4, .scaling_factor = 2};
  EXPECT_FALSE(PlanOf(spec).is_on());
}

TEST(RopePlanTest, DefaultsAreResolved) {
  const RopePlan plan = PlanOf(MakeSpec(Options()));
  EXPECT_TRUE(plan.is_on());
  EXPECT_EQ(plan.rotary_dim, 8);
  EXPECT_EQ(plan.num_pairs(), 4);
  EXPECT_EQ(plan.base, 10000);
  EXPECT_EQ(plan.scaling_factor, 1);
  EXPECT_FALSE(plan.is_interleaved);
  EXPECT_FALSE(plan.has_tables);
  EXPECT_EQ(plan.QueryPosition(2), 2);
  EXPECT_EQ(plan.KeyPosition(4), 4);
}

TEST(RopePlanTest, WhatIsGivenIsKept) {
  RequestSpec spec = MakeSpec(Options());
  spec.params.rope = RopeParams{.base = 500,
                                .rotary_dim = 6,
                                .is_interleaved = true,
                                .scaling_factor = 4,
                                .positions = {-5, 1, 9},
                                .key_positions = {4, 3, 2, 1, 0}};
  const RopePlan plan = PlanOf(spec);
  EXPECT_EQ(plan.rotary_dim, 6);
  EXPECT_TRUE(plan.is_interleaved);
  EXPECT_EQ(plan.scaling_factor, 4);
  EXPECT_THAT(plan.positions, ElementsAre(-5, 1, 9));
  EXPECT_THAT(plan.key_positions, ElementsAre(4, 3, 2, 1, 0));
}

TEST(RopePlanTest, PositionsServeAsManyKeys) {
  CaseOptions options = Options();
  options.kv_len = 3;
  options.params.rope->positions = {7, 8, 9};
  EXPECT_THAT(PlanOf(MakeSpec(options)).key_positions, ElementsAre(7, 8, 9));
}

TEST(RopePlanTest, KeyPositionsAloneLeaveTheQueryCounted) {
  CaseOptions options = Options();
  options.params.rope->key_positions = {7, 8, 9, 10, 11};
  const RopePlan plan = PlanOf(MakeSpec(options));
  EXPECT_THAT(plan.positions, IsEmpty());
  EXPECT_EQ(plan.QueryPosition(1), 1);
}

// Where there is no key, there can be no position of one.
TEST(RopePlanTest, PositionsOfTheQuerySufficeWithoutKeys) {
  CaseOptions options = Options();
  options.kv_len = 0;
  options.params.rope->positions = {7, 8, 9};
  EXPECT_THAT(PlanOf(MakeSpec(options)).positions, ElementsAre(7, 8, 9));
}

TEST(RopePlanTest, TablesMayHaveTheQuerysDtype) {
  for (const DataType dtype :
       {DataType::kF16, DataType::kBF16, DataType::kF64}) {
    RequestSpec spec = SpecWithTables();
    for (TensorSpec* tensor : {&spec.query, &spec.key, &spec.value,
                               &spec.rope_cos, &spec.rope_sin}) {
      Retype(*tensor, dtype);
    }
    const auto plan = ValidateRequest(spec, {});
    ASSERT_TRUE(plan.ok()) << plan.status();
    EXPECT_TRUE(plan->rope.has_tables);
    EXPECT_EQ(plan->rope.table_dtype, dtype);
    EXPECT_EQ(plan->cos_bytes, 6 * 4 * ElementBytes(dtype));
    EXPECT_EQ(plan->sin_bytes, plan->cos_bytes);
  }
}

TEST(RopePlanTest, TablesCountAmongTheInputs) {
  const auto plan = ValidateRequest(SpecWithTables(), {});
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(plan->input_bytes(), plan->query_bytes + plan->key_bytes +
                                     plan->value_bytes + 2 * 6 * 4 * 4);
}

}  // namespace
}  // namespace attn::test
