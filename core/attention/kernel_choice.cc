#include "core/attention/kernel_choice.h"

#include "core/attention/decode_kernel.h"
#include "core/attention/f64_kernel.h"
#include "core/attention/prefill_kernel.h"

namespace attn {

KernelChoice ChooseKernel(const AttentionPlan& plan) {
  const Geometry& g = plan.geometry;
  const int64_t num_rows = g.group_size() * g.q_len;
  if (plan.compute_dtype() == DataType::kF64) {
    return {KernelKind::kF64, {.rows = kF64Rows, .keys = kF64Keys}};
  }
  if (num_rows <= kMaxDecodeRows) {
    return {KernelKind::kDecode, {.rows = kMaxDecodeRows, .keys = kDecodeKeys}};
  }
  return {KernelKind::kPrefill,
          ChooseTileShape(num_rows, g.kv_len, g.head_dim, g.value_head_dim)};
}

absl::Status AttendRows(const KernelChoice& choice, const Problem& problem,
                        RowRange rows, const TileGemm& gemm,
                        ScratchArena& arena) {
  switch (choice.kind) {
    case KernelKind::kPrefill:
      return AttendPrefill(problem, rows, choice.tile, gemm, arena);
    case KernelKind::kDecode:
      return AttendDecode({{&problem, rows}}, arena);
    case KernelKind::kF64:
      break;
  }
  return AttendF64(problem, rows, arena);
}

}  // namespace attn
