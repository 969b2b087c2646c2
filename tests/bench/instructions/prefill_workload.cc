#include <memory>

#include "core/attention/small_tile_gemm.h"
#include "tests/bench/instructions/workload.h"
#include "tests/support/kernel_runner.h"

namespace attn::bench {
namespace {

test::AttentionCase MakePrefill(DataType dtype, CausalMode causal) {
  test::CaseOptions options;
  options.num_q_heads = options.num_kv_heads = 1;
  options.q_len = options.kv_len = 512;
  options.head_dim = options.value_head_dim = 16;
  options.dtype = dtype;
  options.params.causal = causal;
  return test::MakeCase(options);
}

}  // namespace

// With our own product: the library's instructions follow from the caches of
// the machine that it finds itself on, and are not ours to guard (README.md).
Workload PrefillWorkload() {
  struct Cases {
    test::AttentionCase plain = MakePrefill(DataType::kF32, CausalMode::kNone);
    test::AttentionCase causal =
        MakePrefill(DataType::kBF16, CausalMode::kTopLeft);
  };
  const auto cases = std::make_shared<Cases>();
  return [cases] {
    const SmallTileGemm gemm;
    test::RunKernel(cases->plain, gemm, KernelKind::kPrefill);
    test::RunKernel(cases->causal, gemm, KernelKind::kPrefill);
  };
}

}  // namespace attn::bench
