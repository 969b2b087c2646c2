#include "core/attention/attention_plan.h"

#include "gtest/gtest.h"

namespace attn {
namespace {

AttentionPlan Plan(CausalMode causal) {
  AttentionPlan plan;
  plan.geometry = {.batch_size = 2,
                   .num_q_heads = 8,
                   .num_kv_heads = 2,
                   .q_len = 5,
                   .kv_len = 12,
                   .head_dim = 4,
                   .value_head_dim = 4};
  plan.params.causal = causal;
  return plan;
}

TEST(AttentionPlanTest, WithoutLengthsOnlyBottomRightShifts) {
  EXPECT_EQ(Plan(CausalMode::kNone).Offset(0), 0);
  EXPECT_EQ(Plan(CausalMode::kTopLeft).Offset(0), 0);
  EXPECT_EQ(Plan(CausalMode::kBottomRight).Offset(0), 12 - 5);
}

TEST(AttentionPlanTest, LengthsShiftAllButTopLeft) {
  for (const CausalMode causal :
       {CausalMode::kNone, CausalMode::kTopLeft, CausalMode::kBottomRight}) {
    AttentionPlan plan = Plan(causal);
    plan.kv_lengths = {9, 3};
    const bool shifts = causal != CausalMode::kTopLeft;
    EXPECT_EQ(plan.Offset(0), shifts ? 9 - 5 : 0);
    EXPECT_EQ(plan.Offset(1), shifts ? 3 - 5 : 0) << "may be negative";
  }
}

TEST(AttentionPlanTest, GivenOffsetOverridesEveryMode) {
  for (const CausalMode causal :
       {CausalMode::kNone, CausalMode::kTopLeft, CausalMode::kBottomRight}) {
    for (const int64_t offset :
         {INT64_MIN, int64_t{-1}, int64_t{0}, INT64_MAX}) {
      AttentionPlan plan = Plan(causal);
      plan.kv_lengths = {9, 3};
      plan.params.causal_offset = offset;
      EXPECT_EQ(plan.Offset(1), offset);
    }
  }
}

TEST(AttentionPlanTest, KvLengthIsTheSequencesOwn) {
  AttentionPlan plan = Plan(CausalMode::kNone);
  EXPECT_EQ(plan.KvLength(1), 12);
  plan.kv_lengths = {9, 0};
  EXPECT_EQ(plan.KvLength(0), 9);
  EXPECT_EQ(plan.KvLength(1), 0);
}

TEST(AttentionPlanTest, SumsBytes) {
  AttentionPlan plan;
  plan.query_bytes = 1;
  plan.key_bytes = 20;
  plan.value_bytes = 300;
  plan.mask_bytes = 4000;
  plan.cos_bytes = 50000;
  plan.sin_bytes = 600000;
  plan.output_bytes = 5;
  plan.lse_bytes = 60;
  plan.weights_bytes = 700;
  plan.top_bytes = 4000;
  EXPECT_EQ(plan.input_bytes(), 654321);
  EXPECT_EQ(plan.reply_bytes(), 8765) << "top keys: indices and probabilities";
}

}  // namespace
}  // namespace attn
