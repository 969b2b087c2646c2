// What a valid request becomes: sizes, resolved options, strides.
#include <cmath>
#include <limits>
#include <vector>

#include "core/attention/validate.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/core/attention/validation_rule.h"

namespace attn::test {
namespace {

using testing::ElementsAre;

AttentionPlan PlanOf(const CaseOptions& options) {
  auto plan = ValidateRequest(MakeSpec(options), {});
  EXPECT_TRUE(plan.ok()) << plan.status();
  return plan.ok() ? *std::move(plan) : AttentionPlan();
}

std::vector<int64_t> SizesOf(const Geometry& g) {
  return {g.batch_size, g.num_q_heads, g.num_kv_heads,  g.q_len,
          g.kv_len,     g.head_dim,    g.value_head_dim};
}

TEST(ValidatePlanTest, EveryLayoutGivesTheSameGeometry) {
  for (const Layout layout :
       {Layout::kUnspecified, Layout::kBHSD, Layout::kBSHD, Layout::kBSE}) {
    CaseOptions options = ValidOptions();
    options.layout = layout;
    const AttentionPlan plan = PlanOf(options);
    EXPECT_THAT(SizesOf(plan.geometry), ElementsAre(2, 4, 2, 3, 5, 8, 6));
    EXPECT_EQ(plan.geometry.group_size(), 2);
    EXPECT_EQ(plan.layout,
              layout == Layout::kUnspecified ? Layout::kBHSD : layout);
  }
}

TEST(ValidatePlanTest, BytesAreThoseOfTheShapes) {
  CaseOptions options = ValidOptions();
  options.dtype = DataType::kF16;
  options.output.dtype = DataType::kF32;
  AttentionPlan plan = PlanOf(options);
  EXPECT_EQ(plan.query_bytes, 2 * 4 * 3 * 8 * 2);
  EXPECT_EQ(plan.key_bytes, 2 * 2 * 5 * 8 * 2);
  EXPECT_EQ(plan.value_bytes, 2 * 2 * 5 * 6 * 2);
  EXPECT_EQ(plan.mask_bytes, 0);
  EXPECT_EQ(plan.output_bytes, 2 * 4 * 3 * 6 * 4);
  EXPECT_EQ(plan.lse_bytes, 0);
  EXPECT_EQ(plan.weights_bytes, 0);
  options.output.return_lse = true;
  options.output.weights = WeightsMode::kRawScores;
  plan = PlanOf(options);
  EXPECT_EQ(plan.lse_bytes, 2 * 4 * 3 * 4);
  EXPECT_EQ(plan.weights_bytes, 2 * 4 * 3 * 5 * 4);
}

TEST(ValidatePlanTest, DefaultsAreResolved) {
  CaseOptions options = ValidOptions();
  options.dtype = DataType::kBF16;
  AttentionPlan plan = PlanOf(options);
  EXPECT_EQ(plan.scale, 1 / std::sqrt(8.0));
  EXPECT_EQ(plan.output_dtype, DataType::kBF16);
  options.params.scale = 0.0f;
  options.output.dtype = DataType::kF16;
  plan = PlanOf(options);
  EXPECT_EQ(plan.scale, 0.0f);
  EXPECT_EQ(plan.output_dtype, DataType::kF16);
}

TEST(ValidatePlanTest, ExtremesThatAreLegalPass) {
  CaseOptions options = ValidOptions();
  options.params.causal_offset = std::numeric_limits<int64_t>::min();
  options.params.left_window = std::numeric_limits<int64_t>::max();
  options.params.right_window = 0;
  options.params.scale = std::numeric_limits<float>::max();
  options.params.alibi_slopes = {-1, 0, 1, 2};
  options.params.sinks = {-100, 0, 100, 1};
  options.kv_lengths = {0, 5};
  PlanOf(options);
}

TEST(ValidatePlanTest, EmptyQueryAndEmptyKeysPass) {
  CaseOptions options = ValidOptions();
  options.q_len = 0;
  EXPECT_EQ(PlanOf(options).output_bytes, 0);
  options = ValidOptions();
  options.kv_len = 0;
  EXPECT_EQ(PlanOf(options).key_bytes, 0);
}

TEST(ValidatePlanTest, HeadCountsThatAgreeWithFourAxesPass) {
  RequestSpec spec = MakeSpec(ValidOptions());
  spec.num_q_heads = 4;
  spec.num_kv_heads = 2;
  EXPECT_TRUE(ValidateRequest(spec, {}).ok());
}

struct MaskCase {
  std::vector<int64_t> dims;
  std::vector<int64_t> strides;  // batch, head, row, key
  int64_t kv_len;
};

TEST(ValidatePlanTest, MaskStridesAreZeroWhereItIsBroadcast) {
  const MaskCase cases[] = {
      {{2, 4, 3, 5}, {60, 15, 5, 1}, 5},
      {{1, 4, 3, 5}, {0, 15, 5, 1}, 5},
      {{2, 1, 3, 5}, {15, 0, 5, 1}, 5},
      {{2, 1, 1, 5}, {5, 0, 0, 1}, 5},
      {{3, 5}, {0, 0, 5, 1}, 5},
      {{5}, {0, 0, 0, 1}, 5},
      {{1}, {0, 0, 0, 0}, 5},
      {{}, {0, 0, 0, 0}, 5},
      {{3, 1}, {0, 0, 1, 0}, 5},
      {{2, 1, 3, 1}, {3, 0, 1, 0}, 5},
      {{3, 2}, {0, 0, 2, 1}, 2},
      {{3, 0}, {0, 0, 1, 1}, 0},
  };
  for (const MaskCase& c : cases) {
    CaseOptions options = ValidOptions();
    options.has_mask = true;
    options.mask_dims = c.dims;
    const AttentionPlan plan = PlanOf(options);
    const MaskStrides& s = plan.mask_strides;
    EXPECT_THAT((std::vector{s.batch, s.head, s.row, s.key}),
                testing::ElementsAreArray(c.strides))
        << ToString(c.dims);
    EXPECT_EQ(plan.mask_kv_len, c.kv_len) << ToString(c.dims);
    EXPECT_TRUE(plan.has_mask);
  }
}

TEST(ValidatePlanTest, MaskMayBeBoolF32OrTheQuerysDtype) {
  for (const DataType dtype :
       {DataType::kBool, DataType::kF32, DataType::kF16}) {
    CaseOptions options = ValidOptions();
    options.dtype = DataType::kF16;
    options.has_mask = true;
    options.mask_dtype = dtype;
    options.mask_dims = {3, 5};
    const AttentionPlan plan = PlanOf(options);
    EXPECT_EQ(plan.mask_dtype, dtype);
    EXPECT_EQ(plan.mask_bytes, 15 * ElementBytes(dtype));
  }
}

TEST(ValidatePlanTest, WithoutAMaskAllKeysAreCovered) {
  const AttentionPlan plan = PlanOf(ValidOptions());
  EXPECT_FALSE(plan.has_mask);
  EXPECT_EQ(plan.mask_kv_len, 5);
  EXPECT_EQ(plan.mask_bytes, 0);
}

}  // namespace
}  // namespace attn::test
