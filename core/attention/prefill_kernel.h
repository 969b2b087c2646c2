// The tiled attention kernel: scores of a tile of query rows against a tile of
// keys, online softmax, weighted sum, next tile; never more than one tile of
// scores in memory. Matrix products go through TileGemm.
//
// Source of the method: Milakov and Gimelshein, "Online normalizer calculation
// for softmax" (2018); Dao, "FlashAttention-2" (2023).
//
// Determinism: tile sizes and their order follow from the problem alone, so a
// row's bits never depend on what else runs.
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "core/attention/attention_plan.h"
#include "core/attention/problem.h"
#include "core/attention/row_tile.h"
#include "core/attention/tile_gemm.h"
#include "core/memory/scratch_arena.h"

namespace attn {

// The tile for a problem of these sizes: 256 x 256 for usual head dims, less
// where a panel of so many rows would leave L2.
TileShape ChooseTileShape(int64_t num_rows, int64_t kv_len, int64_t head_dim,
                          int64_t value_head_dim);

// Computes output, lse and weights of the folded rows. INTERNAL when the matrix
// library fails, RESOURCE_EXHAUSTED without memory for scratch.
// REQUIRES: 0 < rows.size() <= tile.rows, and `tile` is ChooseTileShape's.
absl::Status AttendPrefill(const Problem& problem, RowRange rows,
                           TileShape tile, const TileGemm& gemm,
                           ScratchArena& arena);

}  // namespace attn
