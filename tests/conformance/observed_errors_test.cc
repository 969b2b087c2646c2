// How far answers are off in practice: the largest |error| of the output for
// every dtype and option, printed as the table of tests/README.md. The
// tensors are Gaussian, so |value| is about 1 and the figures are absolute.
#include <algorithm>
#include <cstdio>
#include <iterator>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/attention_case.h"
#include "tests/support/comparison.h"
#include "tests/support/kernel_runner.h"
#include "tests/support/named_option.h"
#include "tests/support/sizes.h"

namespace attn::test {
namespace {

struct Shape {
  int64_t q_len;
  int64_t kv_len;
  int64_t head_dim;
};

// Decode and prefill; the last one crosses tiles of 256.
std::vector<Shape> Shapes() {
  if (kIsSanitized) return {{1, 300, 64}, {20, 300, 128}};
  return {{1, 2000, 128}, {1, 500, 64}, {40, 400, 64}, {12, 1500, 64}};
}

struct Column {
  DataType dtype;
  double most;  // What the answers are held to.
};

// F16 and BF16 are rounded once, by half a unit in the last place: 2^-11 and
// 2^-8 of outputs up to 4.
constexpr Column kColumns[] = {{DataType::kF32, 4e-6},
                               {DataType::kF16, 0x1p-9},
                               {DataType::kBF16, 0x1p-6},
                               {DataType::kF64, 1e-13}};

double WorstError(DataType dtype, const NamedOption& option) {
  double worst = 0;
  for (const Shape& shape : Shapes()) {
    CaseOptions options;
    options.batch_size = 2;
    options.num_q_heads = 2;
    options.num_kv_heads = 1;
    options.q_len = shape.q_len;
    options.kv_len = shape.kv_len;
    options.head_dim = options.value_head_dim = shape.head_dim;
    options.dtype = dtype;
    options.seed = static_cast<uint64_t>(shape.kv_len + shape.head_dim);
    option.apply(options);
    const AttentionCase made = MakeCase(options);
    worst = std::max(worst, LargestError(made, RunKernel(made, DefaultGemm())));
  }
  return worst;
}

// By how much more an option may be off. A score's own rounding becomes a
// relative error of its weight: logits of up to 30 with the scale 0.3 (three
// times the default's), biases of up to 1000 with a slope of -0.5 over 2000
// keys, whose f32 neighbours are 6e-5 apart.
double Factor(const NamedOption& option) {
  CaseOptions options;
  option.apply(options);
  if (!options.params.alibi_slopes.empty()) return 8;
  return options.params.scale.value_or(0) > 0 ? 2 : 1;
}

// Whether the option has an output dtype of its own, coarser than the column's.
bool IsCoarser(const NamedOption& option) {
  CaseOptions options;
  option.apply(options);
  return options.output.dtype == DataType::kBF16;
}

TEST(ObservedErrorsTest, StayBelowWhatIsPromised) {
  std::printf("| option | F32 | F16 | BF16 | F64 |\n|---|---|---|---|---|\n");
  std::vector<double> worst(std::size(kColumns));
  for (const NamedOption& option : AllOptions()) {
    std::printf("| %s |", option.name);
    for (size_t i = 0; i < std::size(kColumns); ++i) {
      const double error = WorstError(kColumns[i].dtype, option);
      std::printf(" %.1e |", error);
      if (IsCoarser(option)) {
        EXPECT_LE(error, 0x1p-6) << option.name;
        continue;
      }
      const bool is_f32 = kColumns[i].dtype == DataType::kF32;
      EXPECT_LE(error, kColumns[i].most * (is_f32 ? Factor(option) : 1))
          << option.name;
      worst[i] = std::max(worst[i], error);
    }
    std::printf("\n");
  }
  std::printf("| worst but for bf16 output |");
  for (const double error : worst) std::printf(" %.1e |", error);
  std::printf("\n");
}

}  // namespace
}  // namespace attn::test
