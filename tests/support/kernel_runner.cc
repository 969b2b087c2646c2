#include "tests/support/kernel_runner.h"

#include <algorithm>

#include "core/attention/prefill_kernel.h"
#include "core/base/check.h"

namespace attn::test {

AttentionOutputs RunPrefill(const AttentionCase& c, const TileGemm& gemm) {
  AttentionOutputs outputs(c.plan);
  RequestBuffers buffers = c.Inputs();
  outputs.AddTo(buffers);
  ScratchArena arena;
  const Geometry& g = c.plan.geometry;
  const int64_t num_rows = g.group_size() * g.q_len;
  const TileShape tile =
      ChooseTileShape(num_rows, g.kv_len, g.head_dim, g.value_head_dim);
  for (int64_t b = 0; b < g.batch_size; ++b) {
    for (int64_t head = 0; head < g.num_kv_heads; ++head) {
      const Problem problem = MakeProblem(c.plan, buffers, b, head);
      for (int64_t row = 0; row < num_rows; row += tile.rows) {
        const RowRange rows{row, std::min(num_rows, row + tile.rows)};
        ATTN_CHECK(AttendPrefill(problem, rows, tile, gemm, arena).ok());
      }
    }
  }
  return outputs;
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
