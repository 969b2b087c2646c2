// NaN and infinity in keys and values, for every way to forbid a key and every
// kernel: what a row may not see never reaches it, what it may see does.
#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "core/tensor/conversions.h"
#include "gtest/gtest.h"
#include "tests/support/attention_case.h"
#include "tests/support/kernel_runner.h"

namespace attn::test {
namespace {

constexpr int64_t kRows = 8;
constexpr int64_t kKeys = 100;
constexpr int64_t kDim = 6;
// It is in a tile that other keys share, for tiles of 64 and of 256.
constexpr int64_t kPoisoned = 70;

// Hides key kPoisoned from rows 0 to 3 at least.
struct Hiding {
  const char* name;
  void (*options)(CaseOptions&);
  void (*mask)(AttentionCase&);
};

void LeaveMask(AttentionCase& /*made*/) {}

// Whoever reads on behind a short mask finds that keys are allowed there.
void AllowBehindMask(AttentionCase& made) {
  made.mask.assign(2 * kKeys, std::byte{1});
}

// Rows 0 to 3 may not see the key; the rest may see all.
void HideInBoolMask(AttentionCase& made) {
  for (int64_t i = 0; i < kRows * kKeys; ++i) {
    const bool is_hidden = i % kKeys == kPoisoned && i / kKeys < 4;
    made.mask[static_cast<size_t>(i)] = std::byte{!is_hidden};
  }
}

void HideInFloatMask(AttentionCase& made) {
  for (int64_t i = 0; i < kRows * kKeys; ++i) {
    const bool is_hidden = i % kKeys == kPoisoned && i / kKeys < 4;
    const float bias = is_hidden ? -INFINITY : 0.5f;
    ConvertFromF32(&bias, 1, DataType::kF32, made.mask.data() + i * 4);
  }
}

const Hiding kHidings[] = {
    {"causal",
     [](CaseOptions& o) {
       o.params.causal = CausalMode::kTopLeft;
       o.params.causal_offset = kPoisoned - 4;
     },
     LeaveMask},
    {"right window",
     [](CaseOptions& o) {
       o.params.right_window = 3;
       o.params.causal_offset = kPoisoned - 7;
     },
     LeaveMask},
    {"left window",
     [](CaseOptions& o) {
       o.params.left_window = 3;
       o.params.causal_offset = kPoisoned + 4;
     },
     LeaveMask},
    {"kv_lengths", [](CaseOptions& o) { o.kv_lengths = {kPoisoned}; },
     LeaveMask},
    {"short mask",
     [](CaseOptions& o) {
       o.has_mask = true;
       o.mask_dims = {1, kPoisoned};
     },
     AllowBehindMask},
    {"bool mask",
     [](CaseOptions& o) {
       o.has_mask = true;
       o.mask_dims = {kRows, kKeys};
     },
     HideInBoolMask},
    {"float mask",
     [](CaseOptions& o) {
       o.has_mask = true;
       o.mask_dtype = DataType::kF32;
       o.mask_dims = {kRows, kKeys};
     },
     HideInFloatMask},
};

class PoisonTest : public testing::TestWithParam<KernelKind> {
 protected:
  static CaseOptions Options() {
    CaseOptions options;
    options.num_q_heads = options.num_kv_heads = 1;
    options.q_len = kRows;
    options.kv_len = kKeys;
    options.head_dim = options.value_head_dim = kDim;
    if (GetParam() == KernelKind::kF64) options.dtype = DataType::kF64;
    options.output.return_lse = true;
    return options;
  }

  static void Poison(std::vector<std::byte>& tensor, double poison) {
    const std::vector<double> row(kDim, poison);
    const DataType dtype = Options().dtype;
    ConvertFromF64(row.data(), kDim, dtype,
                   tensor.data() + kPoisoned * kDim * ElementBytes(dtype));
  }

  static AttentionOutputs Run(const AttentionCase& made) {
    return RunKernel(made, DefaultGemm(), GetParam());
  }

  static std::vector<double> Output(const AttentionOutputs& outputs) {
    return ToDoubles(Options().dtype, outputs.output);
  }
};

INSTANTIATE_TEST_SUITE_P(All, PoisonTest,
                         testing::Values(KernelKind::kPrefill,
                                         KernelKind::kDecode,
                                         KernelKind::kF64));

constexpr double kPoisons[] = {std::numeric_limits<double>::quiet_NaN(),
                               INFINITY, -INFINITY};

TEST_P(PoisonTest, HiddenKeysAndValuesReachNoRow) {
  for (const Hiding& hiding : kHidings) {
    for (const double poison : kPoisons) {
      SCOPED_TRACE(testing::Message() << hiding.name << " of " << poison);
      CaseOptions options = Options();
      hiding.options(options);
      AttentionCase made = MakeCase(options);
      hiding.mask(made);
      const AttentionOutputs clean = Run(made);
      Poison(made.key, poison);
      Poison(made.value, poison);
      const AttentionOutputs poisoned = Run(made);
      const std::vector<double> expected = Output(clean);
      const std::vector<double> got = Output(poisoned);
      for (size_t i = 0; i < 4 * kDim; ++i) {
        ASSERT_NEAR(got[i], expected[i], 1e-6) << "row " << i / kDim;
      }
      const auto lse = ToFloats(DataType::kF32, poisoned.lse);
      for (size_t row = 0; row < 4; ++row) ASSERT_TRUE(std::isfinite(lse[row]));
    }
  }
}

// The masks that hide it from rows 0 to 3 show it to the others.
TEST_P(PoisonTest, SeenValuesReachTheirRows) {
  for (const char* name : {"causal", "bool mask", "float mask"}) {
    for (const double poison : kPoisons) {
      const Hiding& hiding = *std::find_if(
          std::begin(kHidings), std::end(kHidings),
          [&](const Hiding& h) { return std::string(h.name) == name; });
      CaseOptions options = Options();
      hiding.options(options);
      AttentionCase made = MakeCase(options);
      hiding.mask(made);
      Poison(made.value, poison);
      const std::vector<double> got = Output(Run(made));
      for (size_t i = 4 * kDim; i < kRows * kDim; ++i) {
        ASSERT_FALSE(std::isfinite(got[i])) << name << " row " << i / kDim;
      }
    }
  }
}

TEST_P(PoisonTest, SeenNanKeyMakesTheRowNan) {
  AttentionCase made = MakeCase(Options());
  Poison(made.key, kPoisons[0]);
  const AttentionOutputs outputs = Run(made);
  for (const double value : Output(outputs)) EXPECT_TRUE(std::isnan(value));
  for (const float lse : ToFloats(DataType::kF32, outputs.lse)) {
    EXPECT_TRUE(std::isnan(lse));
  }
}

}  // namespace
}  // namespace attn::test
