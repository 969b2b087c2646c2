// The small-q kernel: a handful of folded query rows against many keys, as in
// decode steps. The same steps as the prefill kernel (row_tile.h) on tiles of
// 64 keys, the page of a session, and with products made for few rows. Each key
// and value is read once for the whole head group.
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "core/attention/row_tile.h"
#include "core/memory/scratch_arena.h"

namespace attn {

// Up to here the small-q kernel serves; beyond, tile products of the matrix
// library are as fast (110 GFLOP/s at 8 rows, 131 at 64).
inline constexpr int64_t kMaxDecodeRows = 16;
inline constexpr int64_t kDecodeKeys = 64;

// Computes what AttendPrefill does, for rows of one problem or, on keys that
// they share, of several (see RowTile). RESOURCE_EXHAUSTED without memory for
// scratch. REQUIRES: RowTile's, and at most kMaxDecodeRows of each problem.
absl::Status AttendDecode(absl::Span<const RowShare> shares,
                          ScratchArena& arena);

}  // namespace attn
