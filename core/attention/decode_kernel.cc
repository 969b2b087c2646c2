#include "core/attention/decode_kernel.h"

#include "core/attention/small_tile_gemm.h"

namespace attn {

absl::Status AttendDecode(absl::Span<const RowShare> shares,
                          ScratchArena& arena) {
  const SmallTileGemm gemm;
  return RowTile(shares, kDecodeKeys, gemm).Run(arena);
}

}  // namespace attn
