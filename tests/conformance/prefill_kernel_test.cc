// The tiled kernel against the f64 reference, over a grid of sizes and options.
#include "core/attention/prefill_kernel.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/attention_case.h"
#include "tests/support/kernel_runner.h"
#include "tests/support/sizes.h"

namespace attn::test {
namespace {

// Runs the case and returns "" or the worst violation.
std::string Check(const CaseOptions& options) {
  const AttentionCase made = MakeCase(options);
  return CompareWithReference(made, RunPrefill(made, DefaultGemm()));
}

CaseOptions Sized(int64_t q_len, int64_t kv_len, int64_t head_dim) {
  CaseOptions options;
  options.q_len = q_len;
  options.kv_len = kv_len;
  options.head_dim = head_dim;
  options.value_head_dim = head_dim;
  options.output.return_lse = true;
  options.seed =
      static_cast<uint64_t>(q_len * 1000003 + kv_len * 1009 + head_dim);
  return options;
}

TEST(PrefillKernelTest, MatchesReferenceAtEveryTileEdge) {
  for (const int64_t q_len : {1, 2, 7, 127, 128, 129, 257}) {
    for (const int64_t kv_len : {0, 1, 2, 63, 64, 65, 255, 256, 257, 513}) {
      for (const int64_t head_dim : {1, 3, 16, 33, 64, 128}) {
        if (kIsSanitized && q_len * kv_len * head_dim > 300000) continue;
        ASSERT_EQ(Check(Sized(q_len, kv_len, head_dim)), "")
            << "q_len " << q_len << " kv_len " << kv_len << " head_dim "
            << head_dim;
      }
    }
  }
}

TEST(PrefillKernelTest, MatchesReferenceForEveryHeadGroup) {
  for (const auto& [q_heads, kv_heads] :
       {std::pair{1, 1}, {4, 4}, {4, 2}, {8, 1}, {6, 2}, {5, 5}}) {
    CaseOptions options = Sized(70, 90, 24);
    options.batch_size = 2;
    options.num_q_heads = q_heads;
    options.num_kv_heads = kv_heads;
    for (const Layout layout : {Layout::kBHSD, Layout::kBSHD, Layout::kBSE}) {
      options.layout = layout;
      options.value_head_dim = 40;
      ASSERT_EQ(Check(options), "") << q_heads << "/" << kv_heads;
    }
  }
}

TEST(PrefillKernelTest, MatchesReferenceForLargeHeadDims) {
  for (const int64_t head_dim : {256, 576, 1000, 5000}) {
    CaseOptions options = Sized(20, 40, head_dim);
    options.value_head_dim = 512;
    ASSERT_EQ(Check(options), "") << head_dim;
  }
}

TEST(PrefillKernelTest, MatchesReferenceForEveryDtype) {
  for (const DataType dtype :
       {DataType::kF32, DataType::kF16, DataType::kBF16}) {
    for (const DataType output : {DataType::kUnspecified, DataType::kF32,
                                  DataType::kF16, DataType::kBF16}) {
      CaseOptions options = Sized(33, 300, 64);
      options.dtype = dtype;
      options.output.dtype = output;
      ASSERT_EQ(Check(options), "")
          << DataTypeName(dtype) << " to " << DataTypeName(output);
    }
  }
}

// Every single option; pairs are made of these below.
struct NamedOption {
  const char* name;
  void (*apply)(CaseOptions&);
};

constexpr NamedOption kOptions[] = {
    {"none", [](CaseOptions&) {}},
    {"scale", [](CaseOptions& o) { o.params.scale = 0.3f; }},
    {"zero scale", [](CaseOptions& o) { o.params.scale = 0.0f; }},
    {"top left",
     [](CaseOptions& o) { o.params.causal = CausalMode::kTopLeft; }},
    {"bottom right",
     [](CaseOptions& o) { o.params.causal = CausalMode::kBottomRight; }},
    {"offset",
     [](CaseOptions& o) {
       o.params.causal = CausalMode::kTopLeft;
       o.params.causal_offset = -5;
     }},
    {"left window", [](CaseOptions& o) { o.params.left_window = 9; }},
    {"right window", [](CaseOptions& o) { o.params.right_window = 3; }},
    {"softcap", [](CaseOptions& o) { o.params.softcap = 1.5f; }},
    {"alibi",
     [](CaseOptions& o) {
       o.params.alibi_slopes.assign(static_cast<size_t>(o.num_q_heads), 0.125f);
       o.params.alibi_slopes.back() = -0.5f;
     }},
    {"sinks",
     [](CaseOptions& o) {
       o.params.sinks.assign(static_cast<size_t>(o.num_q_heads), 1.25f);
       o.params.sinks.back() = 200.0f;
     }},
    {"kv_lengths",
     [](CaseOptions& o) {
       o.kv_lengths = {o.kv_len / 2, 0};
     }},
    {"bool mask [q, kv]",
     [](CaseOptions& o) {
       o.has_mask = true;
       o.mask_dims = {o.q_len, o.kv_len};
     }},
    {"f32 mask [B, H, q, kv]",
     [](CaseOptions& o) {
       o.has_mask = true;
       o.mask_dtype = DataType::kF32;
       o.mask_dims = {o.batch_size, o.num_q_heads, o.q_len, o.kv_len};
     }},
    {"short mask [H, 1, kv - 7]",
     [](CaseOptions& o) {
       o.has_mask = true;
       o.mask_dims = {o.num_q_heads, 1, o.kv_len - 7};
     }},
    {"mask [q, 1]",
     [](CaseOptions& o) {
       o.has_mask = true;
       o.mask_dtype = DataType::kF32;
       o.mask_dims = {o.q_len, 1};
     }},
    {"raw scores",
     [](CaseOptions& o) { o.output.weights = WeightsMode::kRawScores; }},
    {"softcapped",
     [](CaseOptions& o) { o.output.weights = WeightsMode::kSoftcapped; }},
    {"biased", [](CaseOptions& o) { o.output.weights = WeightsMode::kBiased; }},
    {"probabilities",
     [](CaseOptions& o) { o.output.weights = WeightsMode::kProbabilities; }},
};

TEST(PrefillKernelTest, MatchesReferenceForEveryPairOfOptions) {
  double worst = 0;
  for (const NamedOption& first : kOptions) {
    for (const NamedOption& second : kOptions) {
      CaseOptions options = Sized(37, 70, 20);
      options.batch_size = 2;
      options.num_q_heads = 4;
      first.apply(options);
      second.apply(options);
      const AttentionCase made = MakeCase(options);
      double ratio = 0;
      ASSERT_EQ(
          CompareWithReference(made, RunPrefill(made, DefaultGemm()), &ratio),
          "")
          << first.name << " with " << second.name;
      worst = std::max(worst, ratio);
    }
  }
  std::printf("largest error over its bound: %.2f\n", worst);
}

TEST(PrefillKernelTest, CrossesTilesWithEveryOption) {
  for (const NamedOption& option : kOptions) {
    CaseOptions options = Sized(Scaled(300, 40), Scaled(700, 300), 32);
    options.batch_size = 2;
    options.num_q_heads = 4;
    option.apply(options);
    ASSERT_EQ(Check(options), "") << option.name;
  }
}

// Sets row `key` of [B = 1, heads = 1, kv_len, dim] to `poison`.
void PoisonRow(std::vector<std::byte>& tensor, int64_t dim, int64_t key,
               float poison) {
  for (int64_t d = 0; d < dim; ++d) {
    std::memcpy(tensor.data() + (key * dim + d) * 4, &poison, 4);
  }
}

TEST(PrefillKernelTest, ForbiddenKeysNeverReachARow) {
  for (const float poison :
       {std::numeric_limits<float>::quiet_NaN(), INFINITY, -INFINITY}) {
    CaseOptions options = Sized(40, 40, 8);
    options.num_q_heads = options.num_kv_heads = 1;
    options.params.causal = CausalMode::kTopLeft;
    AttentionCase made = MakeCase(options);
    const AttentionOutputs clean = RunPrefill(made, DefaultGemm());
    PoisonRow(made.key, 8, 39, poison);
    PoisonRow(made.value, 8, 39, poison);
    const AttentionOutputs poisoned = RunPrefill(made, DefaultGemm());
    const auto expected = ToFloats(DataType::kF32, clean.output);
    const auto got = ToFloats(DataType::kF32, poisoned.output);
    for (size_t i = 0; i < 39 * 8; ++i) {
      ASSERT_NEAR(got[i], expected[i], 1e-6) << "row " << i / 8;
    }
    EXPECT_FALSE(std::isfinite(got[39 * 8])) << "row 39 sees key 39";
  }
}

TEST(PrefillKernelTest, LowestFiniteMaskAveragesInsteadOfForbidding) {
  CaseOptions options = Sized(3, 300, 8);
  options.has_mask = true;
  options.mask_dtype = DataType::kF32;
  options.mask_dims = {3, 300};
  AttentionCase made = MakeCase(options);
  const float lowest = std::numeric_limits<float>::lowest();
  for (size_t i = 0; i < 900; ++i) {
    std::memcpy(made.mask.data() + i * 4, &lowest, 4);
  }
  const AttentionOutputs outputs = RunPrefill(made, DefaultGemm());
  const auto got = ToFloats(DataType::kF32, outputs.output);
  const auto values = ToFloats(DataType::kF32, made.value);
  double mean = 0;
  for (size_t j = 0; j < 300; ++j) mean += double{values[j * 8]} / 300;
  EXPECT_NEAR(got[0], mean, 1e-6);
}

TEST(PrefillKernelTest, RowWithoutKeysIsZeroWithMinusInfiniteLse) {
  CaseOptions options = Sized(5, 3, 8);
  options.params.causal =
      CausalMode::kBottomRight;  // Rows 0 and 1 see nothing.
  options.params.sinks = {1.0f, 2.0f};
  const AttentionCase made = MakeCase(options);
  const AttentionOutputs outputs = RunPrefill(made, DefaultGemm());
  const auto output = ToFloats(DataType::kF32, outputs.output);
  const auto lse = ToFloats(DataType::kF32, outputs.lse);
  EXPECT_EQ(lse[0], -INFINITY);
  EXPECT_EQ(lse[1], -INFINITY);
  EXPECT_TRUE(std::isfinite(lse[2]));
  EXPECT_THAT(std::vector<float>(output.begin(), output.begin() + 16),
              testing::Each(0.0f));
}

TEST(PrefillKernelTest, ExtremeOffsetsAndWindowsDoNotOverflow) {
  constexpr int64_t kMin = std::numeric_limits<int64_t>::min();
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
  for (const int64_t offset : {kMin, kMin + 1, int64_t{-1}, kMax - 1, kMax}) {
    for (const int64_t window : {int64_t{0}, int64_t{1}, kMax}) {
      CaseOptions options = Sized(6, 9, 4);
      options.params.causal = CausalMode::kTopLeft;
      options.params.causal_offset = offset;
      options.params.left_window = window;
      options.params.right_window = window;
      ASSERT_EQ(Check(options), "") << offset << " " << window;
    }
  }
}

TEST(PrefillKernelTest, PortableGemmMatchesReferenceToo) {
  const auto portable = MakePortableTileGemm();
  const AttentionCase made = MakeCase(Sized(65, 300, 33));
  EXPECT_EQ(CompareWithReference(made, RunPrefill(made, *portable)), "");
}

}  // namespace
}  // namespace attn::test
