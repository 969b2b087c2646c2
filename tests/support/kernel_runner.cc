#include "tests/support/kernel_runner.h"

#include <algorithm>

#include "core/attention/decode_kernel.h"
#include "core/attention/f64_kernel.h"
#include "core/attention/prefill_kernel.h"
#include "core/base/check.h"

namespace attn::test {
namespace {

AttentionOutputs Run(const AttentionCase& c, const TileGemm& gemm,
                     const KernelChoice& choice, const PagedKv& pages) {
  AttentionOutputs outputs(c.plan);
  RequestBuffers buffers = c.Inputs();
  buffers.paged = pages;
  outputs.AddTo(buffers);
  ScratchArena arena;
  const Geometry& g = c.plan.geometry;
  const int64_t num_rows = g.group_size() * g.q_len;
  for (int64_t b = 0; b < g.batch_size; ++b) {
    for (int64_t head = 0; head < g.num_kv_heads; ++head) {
      const Problem problem = MakeProblem(c.plan, buffers, b, head);
      for (int64_t row = 0; row < num_rows; row += choice.tile.rows) {
        const RowRange rows{row, std::min(num_rows, row + choice.tile.rows)};
        ATTN_CHECK(AttendRows(choice, problem, rows, gemm, arena).ok());
      }
    }
  }
  return outputs;
}

TileShape TileOf(const AttentionPlan& plan, KernelKind kind) {
  const Geometry& g = plan.geometry;
  switch (kind) {
    case KernelKind::kPrefill:
      return ChooseTileShape(g.group_size() * g.q_len, g.kv_len, g.head_dim,
                             g.value_head_dim);
    case KernelKind::kDecode:
      return {.rows = kMaxDecodeRows, .keys = kDecodeKeys};
    case KernelKind::kF64:
      break;
  }
  return {.rows = kF64Rows, .keys = kF64Keys};
}

}  // namespace

AttentionOutputs RunKernel(const AttentionCase& c, const TileGemm& gemm) {
  return Run(c, gemm, ChooseKernel(c.plan), {});
}

AttentionOutputs RunKernel(const AttentionCase& c, const TileGemm& gemm,
                           KernelKind kind, const PagedKv& pages) {
  return Run(c, gemm, {kind, TileOf(c.plan, kind)}, pages);
}

const TileGemm& DefaultGemm() {
  static const std::unique_ptr<TileGemm> gemm = [] {
    auto made = MakeTileGemm(Isa::kAuto);
    made->ConfineToCallingThread();
    return made;
  }();
  return *gemm;
}

}  // namespace attn::test
