#include "core/attention/decode_kernel.h"

#include "core/attention/small_tile_gemm.h"

namespace attn {

absl::Status AttendDecode(const Problem& problem, RowRange rows,
                          ScratchArena& arena) {
  const SmallTileGemm gemm;
  const TileShape tile{.rows = rows.size(), .keys = kDecodeKeys};
  return RowTile(problem, rows, tile, gemm).Run(arena);
}

}  // namespace attn
