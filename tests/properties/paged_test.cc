// Keys and values in pages give the bytes that contiguous ones give, by every
// kernel, at every page edge, with every option.
#include <cmath>

#include "core/tensor/conversions.h"
#include "gtest/gtest.h"
#include "tests/properties/paged_grid.h"
#include "tests/support/kernel_runner.h"
#include "tests/support/paged_case.h"

namespace attn::test {
namespace {

void ExpectEqual(const AttentionCase& c, const std::string& what) {
  for (const KernelKind kind : kPagedKinds) {
    EXPECT_TRUE(RunPaged(c, DefaultGemm(), kind) ==
                RunKernel(c, DefaultGemm(), kind))
        << what << ", kernel " << static_cast<int>(kind);
  }
}

TEST(PagedTest, EqualsContiguousAtEveryPageEdge) {
  for (const DataType dtype :
       {DataType::kF32, DataType::kF16, DataType::kBF16}) {
    CaseOptions options;
    options.dtype = dtype;
    options.num_q_heads = 4;
    options.q_len = 5;
    ForEveryPageEdge(options, ExpectEqual);
  }
}

TEST(PagedTest, EqualsContiguousWithEveryOption) {
  CaseOptions options;
  options.num_q_heads = 4;
  options.q_len = 21;
  ForEverySessionOption(options, ExpectEqual);
}

// Row 0 sees less than the last one; the poison stands between.
TEST(PagedTest, NanAndInfinityReachTheRowsThatTheyReachInContiguousValues) {
  constexpr int64_t kPoisoned = 90;
  for (const DataType dtype :
       {DataType::kF32, DataType::kF16, DataType::kBF16}) {
    for (const float poison : {NAN, INFINITY, -INFINITY}) {
      CaseOptions options;
      options.dtype = dtype;
      options.q_len = 8;
      options.kv_len = 200;
      options.params.causal_offset = kPoisoned - 4;
      options.params.causal = CausalMode::kTopLeft;
      AttentionCase c = MakeCase(options);
      const int64_t row_bytes = options.value_head_dim * ElementBytes(dtype);
      ConvertFromF32(&poison, 1, dtype, c.value.data() + kPoisoned * row_bytes);
      ExpectEqual(c, std::to_string(poison));
      const AttentionOutputs got =
          RunPaged(c, DefaultGemm(), KernelKind::kDecode);
      const auto output = ToFloats(dtype, got.output);
      EXPECT_TRUE(std::isfinite(output.front()));
      EXPECT_FALSE(std::isfinite(
          output[static_cast<size_t>(7 * options.value_head_dim)]));
    }
  }
}

}  // namespace
}  // namespace attn::test
