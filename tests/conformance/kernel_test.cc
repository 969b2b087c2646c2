// Every kernel against the f64 reference, over a grid of sizes and options.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>

#include "core/tensor/conversions.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/attention_case.h"
#include "tests/support/comparison.h"
#include "tests/support/kernel_runner.h"
#include "tests/support/named_option.h"
#include "tests/support/sizes.h"

namespace attn::test {
namespace {

class KernelTest : public testing::TestWithParam<KernelKind> {
 protected:
  static CaseOptions Sized(int64_t q_len, int64_t kv_len, int64_t head_dim) {
    CaseOptions options;
    options.dtype = DtypeOf(GetParam());
    options.q_len = q_len;
    options.kv_len = kv_len;
    options.head_dim = head_dim;
    options.value_head_dim = head_dim;
    options.output.return_lse = true;
    options.seed =
        static_cast<uint64_t>(q_len * 1000003 + kv_len * 1009 + head_dim);
    return options;
  }

  static AttentionOutputs Run(const AttentionCase& made) {
    return RunKernel(made, DefaultGemm(), GetParam());
  }

  // Runs the case and returns "" or the worst violation.
  static std::string Check(const CaseOptions& options) {
    const AttentionCase made = MakeCase(options);
    return CompareWithReference(made, Run(made));
  }

 private:
  static DataType DtypeOf(KernelKind kind) {
    return kind == KernelKind::kF64 ? DataType::kF64 : DataType::kF32;
  }
};

INSTANTIATE_TEST_SUITE_P(
    All, KernelTest,
    testing::Values(KernelKind::kPrefill, KernelKind::kDecode,
                    KernelKind::kF64),
    [](const testing::TestParamInfo<KernelKind>& kernel) -> std::string {
      if (kernel.param == KernelKind::kPrefill) return "Prefill";
      return kernel.param == KernelKind::kDecode ? "Decode" : "F64";
    });

TEST_P(KernelTest, MatchesReferenceAtEveryTileEdge) {
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

TEST_P(KernelTest, MatchesReferenceForEveryHeadGroup) {
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

TEST_P(KernelTest, MatchesReferenceForLargeHeadDims) {
  for (const int64_t head_dim : {256, 576, 1000, 5000}) {
    CaseOptions options = Sized(20, 40, head_dim);
    options.value_head_dim = 512;
    ASSERT_EQ(Check(options), "") << head_dim;
  }
}

TEST_P(KernelTest, MatchesReferenceForEveryDtype) {
  std::vector<DataType> dtypes = {DataType::kF32, DataType::kF16,
                                  DataType::kBF16};
  if (GetParam() == KernelKind::kF64) dtypes = {DataType::kF64};
  for (const DataType dtype : dtypes) {
    for (const DataType output :
         {DataType::kUnspecified, DataType::kF32, DataType::kF16,
          DataType::kBF16, DataType::kF64}) {
      CaseOptions options = Sized(33, 300, 64);
      options.dtype = dtype;
      options.output.dtype = output;
      ASSERT_EQ(Check(options), "")
          << DataTypeName(dtype) << " to " << DataTypeName(output);
    }
  }
}

TEST_P(KernelTest, MatchesReferenceForEveryPairOfOptions) {
  double worst = 0;
  for (const NamedOption& first : AllOptions()) {
    for (const NamedOption& second : AllOptions()) {
      CaseOptions options = Sized(37, 70, 20);
      options.batch_size = 2;
      options.num_q_heads = 4;
      first.apply(options);
      second.apply(options);
      const AttentionCase made = MakeCase(options);
      double ratio = 0;
      ASSERT_EQ(CompareWithReference(made, Run(made), &ratio), "")
          << first.name << " with " << second.name;
      worst = std::max(worst, ratio);
    }
  }
  std::printf("largest error over its bound: %.2f\n", worst);
}

TEST_P(KernelTest, CrossesTilesWithEveryOption) {
  for (const NamedOption& option : AllOptions()) {
    CaseOptions options = Sized(Scaled(300, 40), Scaled(700, 300), 32);
    options.batch_size = 2;
    options.num_q_heads = 4;
    option.apply(options);
    ASSERT_EQ(Check(options), "") << option.name;
  }
}

// Sets row `key` of [B = 1, heads = 1, kv_len, 8] to `poison`.
void PoisonRow(DataType dtype, std::vector<std::byte>& tensor, int64_t key,
               float poison) {
  const std::vector<float> row(8, poison);
  ConvertFromF32(row.data(), 8, dtype,
                 tensor.data() + key * 8 * ElementBytes(dtype));
}

TEST_P(KernelTest, ForbiddenKeysNeverReachARow) {
  for (const float poison :
       {std::numeric_limits<float>::quiet_NaN(), INFINITY, -INFINITY}) {
    CaseOptions options = Sized(40, 40, 8);
    options.num_q_heads = options.num_kv_heads = 1;
    options.params.causal = CausalMode::kTopLeft;
    AttentionCase made = MakeCase(options);
    const AttentionOutputs clean = Run(made);
    PoisonRow(options.dtype, made.key, 39, poison);
    PoisonRow(options.dtype, made.value, 39, poison);
    const AttentionOutputs poisoned = Run(made);
    const auto expected = ToDoubles(options.dtype, clean.output);
    const auto got = ToDoubles(options.dtype, poisoned.output);
    for (size_t i = 0; i < 39 * 8; ++i) {
      ASSERT_NEAR(got[i], expected[i], 1e-6) << "row " << i / 8;
    }
    EXPECT_FALSE(std::isfinite(got[39 * 8])) << "row 39 sees key 39";
  }
}

// Row 0 has nothing else; in row 1 the last 100 keys are less unlikely.
TEST_P(KernelTest, LowestFiniteMaskMeansVeryUnlikely) {
  CaseOptions options = Sized(2, 300, 8);
  options.has_mask = true;
  options.mask_dtype = DataType::kF32;
  options.mask_dims = {2, 300};
  options.output.return_lse = true;
  AttentionCase made = MakeCase(options);
  const float lowest = std::numeric_limits<float>::lowest();
  for (size_t i = 0; i < 600; ++i) {
    const float bias = i < 500 ? lowest : 0.8f * lowest;
    std::memcpy(made.mask.data() + i * 4, &bias, 4);
  }
  const AttentionOutputs outputs = Run(made);
  const auto got = ToDoubles(options.dtype, outputs.output);
  const auto values = ToDoubles(options.dtype, made.value);
  double mean = 0, mean_of_last = 0;
  for (size_t j = 0; j < 300; ++j) mean += values[j * 8] / 300;
  for (size_t j = 200; j < 300; ++j) mean_of_last += values[j * 8] / 100;
  EXPECT_NEAR(got[0], mean, 1e-6);
  EXPECT_NEAR(got[8], mean_of_last, 1e-6);
  const auto lse = ToFloats(DataType::kF32, outputs.lse);
  EXPECT_NEAR(lse[0] / lowest, 1, 1e-6);
  EXPECT_NEAR(lse[1] / lowest, 0.8, 1e-6);
}

TEST_P(KernelTest, RowWithoutKeysIsZeroWithMinusInfiniteLse) {
  CaseOptions options = Sized(5, 3, 8);
  options.params.causal =
      CausalMode::kBottomRight;  // Rows 0 and 1 see nothing.
  options.params.sinks = {1.0f, 2.0f};
  const AttentionCase made = MakeCase(options);
  const AttentionOutputs outputs = Run(made);
  const auto output = ToDoubles(options.dtype, outputs.output);
  const auto lse = ToFloats(DataType::kF32, outputs.lse);
  EXPECT_EQ(lse[0], -INFINITY);
  EXPECT_EQ(lse[1], -INFINITY);
  EXPECT_TRUE(std::isfinite(lse[2]));
  EXPECT_THAT(std::vector<double>(output.begin(), output.begin() + 16),
              testing::Each(0.0));
}

TEST_P(KernelTest, ExtremeOffsetsAndWindowsDoNotOverflow) {
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

TEST(PortableTileGemmTest, MatchesReferenceToo) {
  const auto portable = MakePortableTileGemm();
  CaseOptions options;
  options.q_len = 65;
  options.kv_len = 300;
  options.head_dim = 33;
  const AttentionCase made = MakeCase(options);
  EXPECT_EQ(CompareWithReference(made, RunKernel(made, *portable)), "");
}

}  // namespace
}  // namespace attn::test
