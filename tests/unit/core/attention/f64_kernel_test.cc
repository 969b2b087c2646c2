// What conformance cannot see in sums: which NaN and infinity reach a row of
// the f64 kernel, and that nothing of it is f32.
#include "core/attention/f64_kernel.h"

#include <cmath>
#include <limits>
#include <vector>

#include "core/tensor/conversions.h"
#include "gtest/gtest.h"
#include "tests/support/attention_case.h"
#include "tests/support/kernel_runner.h"

namespace attn::test {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr int64_t kKeys = 70;
constexpr int64_t kDim = 5;

CaseOptions Options() {
  CaseOptions options;
  options.num_q_heads = options.num_kv_heads = 1;
  options.dtype = DataType::kF64;
  options.q_len = 3;
  options.kv_len = kKeys;
  options.head_dim = options.value_head_dim = kDim;
  options.output.return_lse = true;
  return options;
}

void Set(std::vector<std::byte>& tensor, int64_t index, double value) {
  ConvertFromF64(&value, 1, DataType::kF64, tensor.data() + index * 8);
}

std::vector<double> OutputOf(const AttentionCase& made) {
  return ToDoubles(made.plan.output_dtype,
                   RunKernel(made, DefaultGemm(), KernelKind::kF64).output);
}

class F64PoisonTest : public testing::TestWithParam<double> {};

TEST_P(F64PoisonTest, ForbiddenKeysAndValuesReachNoRow) {
  CaseOptions options = Options();
  options.kv_lengths = {kKeys - 1};
  AttentionCase made = MakeCase(options);
  const AttentionOutputs clean =
      RunKernel(made, DefaultGemm(), KernelKind::kF64);
  for (int64_t d = 0; d < kDim; ++d) {
    Set(made.key, (kKeys - 1) * kDim + d, GetParam());
    Set(made.value, (kKeys - 1) * kDim + d, GetParam());
  }
  EXPECT_TRUE(RunKernel(made, DefaultGemm(), KernelKind::kF64) == clean);
}

TEST_P(F64PoisonTest, KeysForbiddenByAMaskReachNoRow) {
  for (const DataType mask : {DataType::kBool, DataType::kF32}) {
    CaseOptions options = Options();
    options.has_mask = true;
    options.mask_dtype = mask;
    options.mask_dims = {kKeys};
    AttentionCase made = MakeCase(options);
    const float minus_infinity = -INFINITY;
    if (mask == DataType::kBool) {
      made.mask[7] = std::byte{0};
    } else {
      ConvertFromF32(&minus_infinity, 1, mask, made.mask.data() + 7 * 4);
    }
    const AttentionOutputs clean =
        RunKernel(made, DefaultGemm(), KernelKind::kF64);
    Set(made.key, 7 * kDim, GetParam());
    Set(made.value, 7 * kDim, GetParam());
    EXPECT_TRUE(RunKernel(made, DefaultGemm(), KernelKind::kF64) == clean);
  }
}

TEST_P(F64PoisonTest, AllowedValueReachesItsColumnInEveryRow) {
  AttentionCase made = MakeCase(Options());
  const std::vector<double> clean = OutputOf(made);
  Set(made.value, 20 * kDim + 2, GetParam());
  const std::vector<double> got = OutputOf(made);
  for (size_t i = 0; i < got.size(); ++i) {
    if (i % kDim == 2) {
      EXPECT_FALSE(std::isfinite(got[i])) << i;
    } else {
      EXPECT_EQ(got[i], clean[i]) << i;
    }
  }
}

TEST_P(F64PoisonTest, ValueReachesOnlyTheRowsThatMaySeeIt) {
  CaseOptions options = Options();
  options.params.causal = CausalMode::kTopLeft;
  AttentionCase made = MakeCase(options);
  const std::vector<double> clean = OutputOf(made);
  Set(made.value, 2 * kDim, GetParam());
  const std::vector<double> got = OutputOf(made);
  EXPECT_EQ(got[0], clean[0]);
  EXPECT_EQ(got[kDim], clean[kDim]);
  EXPECT_FALSE(std::isfinite(got[2 * kDim]));
}

INSTANTIATE_TEST_SUITE_P(NanAndInfinity, F64PoisonTest,
                         testing::Values(kNan, kInfinity, -kInfinity));

TEST(F64KernelTest, NanOfAnAllowedKeyMakesTheRowNan) {
  AttentionCase made = MakeCase(Options());
  Set(made.key, 11 * kDim, kNan);
  for (const double value : OutputOf(made)) EXPECT_TRUE(std::isnan(value));
}

TEST(F64KernelTest, NanOfAQueryRowStaysInThatRow) {
  AttentionCase made = MakeCase(Options());
  Set(made.query, 1 * kDim, kNan);
  const std::vector<double> got = OutputOf(made);
  for (size_t i = 0; i < got.size(); ++i) {
    EXPECT_EQ(std::isnan(got[i]), i / kDim == 1) << i;
  }
}

// The weight of key 0 is e^-2000, which is 0; NaN times it is NaN all the same.
TEST(F64KernelTest, AllowedNanReachesARowEvenWithTheWeightZero) {
  CaseOptions options = Options();
  options.kv_len = 2;
  options.has_mask = true;
  options.mask_dtype = DataType::kF32;
  options.mask_dims = {2};
  AttentionCase made = MakeCase(options);
  const float mask[] = {-2000, 0};
  ConvertFromF32(mask, 2, DataType::kF32, made.mask.data());
  Set(made.value, 0, kNan);
  EXPECT_TRUE(std::isnan(OutputOf(made)[0]));
}

// Scores that are equal in f32 but not in f64.
TEST(F64KernelTest, DifferencesBelowF32Count) {
  CaseOptions options = Options();
  options.q_len = 1;
  options.kv_len = 2;
  options.params.scale = 1.0f;
  AttentionCase made = MakeCase(options);
  std::fill(made.query.begin(), made.query.end(), std::byte{0});
  std::fill(made.key.begin(), made.key.end(), std::byte{0});
  std::fill(made.value.begin(), made.value.end(), std::byte{0});
  Set(made.query, 0, 1);
  Set(made.key, 0, 1e9);
  Set(made.key, kDim, 1e9 + 1);
  Set(made.value, kDim, 1);
  EXPECT_NEAR(OutputOf(made)[0], 1 / (1 + std::exp(-1.0)), 1e-15);
}

TEST(F64KernelTest, ScoresFarBeyondF32DoNotOverflow) {
  CaseOptions options = Options();
  options.params.scale = 1.0f;
  AttentionCase made = MakeCase(options);
  for (int64_t i = 0; i < 3 * kDim; ++i) Set(made.query, i, 1e100);
  for (const double value : OutputOf(made)) EXPECT_TRUE(std::isfinite(value));
}

}  // namespace
}  // namespace attn::test
