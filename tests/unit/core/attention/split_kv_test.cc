#include "core/attention/split_kv.h"

#include <cmath>
#include <string>
#include <vector>

#include "core/attention/kernel_choice.h"
#include "gtest/gtest.h"
#include "tests/support/comparison.h"
#include "tests/support/kernel_runner.h"

namespace attn::test {
namespace {

// Two query heads on one KV head, two sequences.
CaseOptions Decode(int64_t kv_len) {
  CaseOptions options;
  options.batch_size = 2;
  options.num_q_heads = 2;
  options.num_kv_heads = 1;
  options.q_len = 3;
  options.kv_len = kv_len;
  options.head_dim = 16;
  options.value_head_dim = 24;
  options.output.return_lse = true;
  return options;
}

// Every split by itself, the last one first, then the merge.
AttentionOutputs RunSplits(const AttentionCase& c) {
  AttentionOutputs outputs(c.plan);
  RequestBuffers buffers = c.Inputs();
  outputs.AddTo(buffers);
  ScratchArena arena;
  const int64_t num_splits = NumSplits(c.plan);
  EXPECT_GT(num_splits, 1);
  for (int64_t b = 0; b < c.plan.geometry.batch_size; ++b) {
    const Problem whole = MakeProblem(c.plan, buffers, b, 0);
    std::vector<float> answers(static_cast<size_t>(SplitAnswerFloats(c.plan)),
                               NAN);
    for (int64_t split = num_splits - 1; split >= 0; --split) {
      const Problem part = SplitProblem(whole, split, answers.data());
      EXPECT_TRUE(AttendRows(ChooseKernel(c.plan), part, {0, part.num_rows()},
                             DefaultGemm(), arena)
                      .ok());
    }
    MergeSplits(whole, num_splits, answers.data());
  }
  return outputs;
}

TEST(SplitKvTest, LongContextsOfFewRowsAreCut) {
  EXPECT_EQ(NumSplits(MakeCase(Decode(1)).plan), 1);
  EXPECT_EQ(NumSplits(MakeCase(Decode(kSplitKeys)).plan), 1);
  EXPECT_EQ(NumSplits(MakeCase(Decode(kSplitKeys + 1)).plan), 2);
  EXPECT_EQ(NumSplits(MakeCase(Decode(3 * kSplitKeys)).plan), 3);
}

TEST(SplitKvTest, OthersAreNot) {
  CaseOptions many_rows = Decode(3000);
  many_rows.q_len = 9;
  EXPECT_EQ(NumSplits(MakeCase(many_rows).plan), 1);
  CaseOptions weights = Decode(3000);
  weights.output.weights = WeightsMode::kProbabilities;
  EXPECT_EQ(NumSplits(MakeCase(weights).plan), 1);
  CaseOptions top = Decode(3000);
  top.output.top_k = 4;
  EXPECT_EQ(NumSplits(MakeCase(top).plan), 1);
  CaseOptions f64 = Decode(3000);
  f64.dtype = DataType::kF64;
  EXPECT_EQ(NumSplits(MakeCase(f64).plan), 1);
  CaseOptions none = Decode(0);
  EXPECT_EQ(NumSplits(MakeCase(none).plan), 1);
}

struct NamedChange {
  const char* name;
  void (*change)(CaseOptions&);
};

const NamedChange kChanges[] = {
    {"plain", [](CaseOptions&) {}},
    {"causal",
     [](CaseOptions& o) { o.params.causal = CausalMode::kBottomRight; }},
    {"row 0 sees one key",
     [](CaseOptions& o) { o.params.causal = CausalMode::kTopLeft; }},
    {"rows without keys",
     [](CaseOptions& o) {
       o.params.causal = CausalMode::kTopLeft;
       o.params.causal_offset = -2;
       o.params.sinks = {1, 2};
     }},
    {"window over an edge",
     [](CaseOptions& o) {
       o.params.causal = CausalMode::kTopLeft;
       o.params.causal_offset = kSplitKeys + 20;
       o.params.left_window = 50;
     }},
    {"sinks",
     [](CaseOptions& o) {
       o.params.sinks = {3, -1};
     }},
    {"alibi",
     [](CaseOptions& o) {
       o.params.alibi_slopes = {-0.01f, -0.1f};
     }},
    {"softcap", [](CaseOptions& o) { o.params.softcap = 2; }},
    {"kv_lengths",
     [](CaseOptions& o) {
       o.kv_lengths = {kSplitKeys - 1, kSplitKeys + 1};
     }},
    {"mask", [](CaseOptions& o) { o.has_mask = true; }},
    {"short mask",
     [](CaseOptions& o) {
       o.has_mask = true;
       o.mask_dims = {3, kSplitKeys + 30};
     }},
    {"float mask",
     [](CaseOptions& o) {
       o.has_mask = true;
       o.mask_dtype = DataType::kF32;
     }},
    {"rope", [](CaseOptions& o) { o.params.rope = RopeParams{.base = 1e4}; }},
    {"bf16", [](CaseOptions& o) { o.dtype = DataType::kBF16; }},
};

TEST(SplitKvTest, MergedSplitsKeepTheBoundOfTheWhole) {
  for (const NamedChange& change : kChanges) {
    CaseOptions options = Decode(2 * kSplitKeys + 77);
    options.mask_dims = {options.q_len, options.kv_len};
    change.change(options);
    const AttentionCase whole = MakeCase(options);
    EXPECT_EQ(CompareWithReference(whole, RunSplits(whole)), "") << change.name;
  }
}

TEST(SplitKvTest, NanReachesTheRowsThatSeeItAlone) {
  CaseOptions options = Decode(kSplitKeys + 100);
  options.batch_size = 1;
  options.params.causal = CausalMode::kTopLeft;
  options.params.causal_offset = kSplitKeys + 49;
  AttentionCase made = MakeCase(options);
  // Rows see keys up to 49, 50 and 51 of the second split.
  auto* value = reinterpret_cast<float*>(made.value.data());
  value[(kSplitKeys + 51) * options.value_head_dim] = NAN;
  const AttentionOutputs outputs = RunSplits(made);
  const auto* output = reinterpret_cast<const float*>(outputs.output.data());
  EXPECT_TRUE(std::isfinite(output[0]));
  EXPECT_TRUE(std::isfinite(output[options.value_head_dim]));
  EXPECT_TRUE(std::isnan(output[2 * options.value_head_dim]));
}

}  // namespace
}  // namespace attn::test
