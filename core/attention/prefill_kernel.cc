#include "core/attention/prefill_kernel.h"

#include <algorithm>

#include "core/base/checked_math.h"

namespace attn {
namespace {

// A quarter of a 1 MiB L2 for each panel: 256 rows of 256 floats.
constexpr int64_t kPanelFloats = int64_t{256} * 256;
constexpr int64_t kLargestTile = 256;
constexpr int64_t kSmallestTile = 16;

int64_t TileLength(int64_t dim) {
  const int64_t rows = kPanelFloats / dim;
  return std::clamp(rows - rows % kSmallestTile, kSmallestTile, kLargestTile);
}

}  // namespace

TileShape ChooseTileShape(int64_t num_rows, int64_t kv_len, int64_t head_dim,
                          int64_t value_head_dim) {
  const int64_t length = TileLength(std::max(head_dim, value_head_dim));
  // Equal tiles rather than full ones and a rest.
  const int64_t num_tiles = std::max<int64_t>(1, DivideUp(num_rows, length));
  return {.rows = std::max<int64_t>(1, DivideUp(num_rows, num_tiles)),
          .keys = std::clamp<int64_t>(kv_len, 1, length)};
}

absl::Status AttendPrefill(const Problem& problem, RowRange rows,
                           TileShape tile, const TileGemm& gemm,
                           ScratchArena& arena) {
  const RowShare share{&problem, rows};
  return RowTile({&share, 1}, tile.keys, gemm).Run(arena);
}

}  // namespace attn
