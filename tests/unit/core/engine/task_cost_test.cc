#include "core/engine/task_cost.h"

#include "gtest/gtest.h"
#include "tests/support/attention_case.h"

namespace attn::test {
namespace {

CaseOptions Sized(int64_t q_len, int64_t kv_len) {
  CaseOptions options;
  options.q_len = q_len;
  options.kv_len = kv_len;
  options.head_dim = options.value_head_dim = 64;
  return options;
}

double CostOf(const CaseOptions& options) {
  return EstimateCost(MakeCase(options).plan);
}

TEST(TaskCostTest, FullAttentionCostsItsProducts) {
  const double flops = 2.0 * 2 * 512 * 1024 * (64 + 64);
  EXPECT_GT(CostOf(Sized(512, 1024)), flops);
  EXPECT_LT(CostOf(Sized(512, 1024)), 1.1 * flops);
}

TEST(TaskCostTest, CausalCostsHalf) {
  CaseOptions causal = Sized(1024, 1024);
  causal.params.causal = CausalMode::kTopLeft;
  EXPECT_NEAR(CostOf(causal) / CostOf(Sized(1024, 1024)), 0.5, 0.03);
}

TEST(TaskCostTest, WindowCostsItsWidth) {
  CaseOptions narrow = Sized(1024, 1024);
  narrow.params.left_window = 31;
  narrow.params.right_window = 0;
  EXPECT_NEAR(CostOf(narrow), 2.0 * 2 * 1024 * 32 * 128, 1e7);
}

TEST(TaskCostTest, LengthsAndShortMasksBoundTheKeys) {
  CaseOptions options = Sized(64, 1024);
  const double full = CostOf(options);
  options.kv_lengths = {256};
  EXPECT_LT(CostOf(options), 0.35 * full);
  options.kv_lengths.clear();
  options.has_mask = true;
  options.mask_dims = {64, 256};
  EXPECT_LT(CostOf(options), 0.35 * full);
}

TEST(TaskCostTest, WeightsCostASecondWalk) {
  CaseOptions options = Sized(64, 1024);
  const double without = CostOf(options);
  options.output.weights = WeightsMode::kProbabilities;
  EXPECT_GT(CostOf(options), 1.5 * without);
}

TEST(TaskCostTest, TopKeysCostASecondWalkOfWhatIsSeen) {
  CaseOptions options = Sized(64, 1024);
  options.params.left_window = 99;
  const double without = CostOf(options);
  options.output.top_k = 4;
  EXPECT_NEAR(CostOf(options) / without, 2, 0.4);
}

TEST(TaskCostTest, F64CostsManyTimesAsMuch) {
  CaseOptions options = Sized(64, 1024);
  const double f32 = CostOf(options);
  options.dtype = DataType::kF64;
  EXPECT_GT(CostOf(options), 10 * f32);
}

TEST(TaskCostTest, BatchMultiplies) {
  CaseOptions options = Sized(64, 256);
  const double one = CostOf(options);
  options.batch_size = 40;
  EXPECT_NEAR(CostOf(options) / one, 40, 4);
}

TEST(TaskCostTest, NothingToDoCostsLittleAndIsPositive) {
  EXPECT_GT(CostOf(Sized(0, 8)), 0);
  EXPECT_LT(CostOf(Sized(0, 8)), 1e6);
  EXPECT_LT(CostOf(Sized(1, 0)), 1e6);
}

// A plan that says more than any message can hold is still estimated at once.
TEST(TaskCostTest, HugePlansTakeNoTimeAndDoNotOverflow) {
  AttentionPlan plan = MakeCase(Sized(1, 1)).plan;
  constexpr int64_t kHuge = int64_t{1} << 50;
  plan.geometry.batch_size = kHuge;
  plan.geometry.q_len = kHuge;
  plan.geometry.kv_len = plan.mask_kv_len = kHuge;
  plan.params.causal_offset = INT64_MAX;
  EXPECT_GT(EstimateCost(plan), 1e45);
}

}  // namespace
}  // namespace attn::test
