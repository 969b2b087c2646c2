// Attention in f64 from end to end, for F64 tensors: one row of scores at a
// time, plain loops. It is there to be exact, not fast: a few GFLOP/s.
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "core/attention/problem.h"
#include "core/memory/scratch_arena.h"

namespace attn {

// Folded rows of a work item, and keys that are widened at a time for them.
inline constexpr int64_t kF64Rows = 16;
inline constexpr int64_t kF64Keys = 64;

// Computes what AttendPrefill does; lse, weights and probabilities are rounded
// to f32. RESOURCE_EXHAUSTED without memory for scratch: [rows, kv_len] of f64.
// REQUIRES: 0 < rows.size() <= kF64Rows.
absl::Status AttendF64(const Problem& problem, RowRange rows,
                       ScratchArena& arena);

}  // namespace attn
