// Tiles of query, key and value as the tile GEMM wants them: f32, contiguous,
// keys transposed. Packing reads each row once, converts on the way, and pays
// for itself: products with untransposed keys are 10-25 % slower
// (design/performance.md).
#pragma once

#include <cstdint>

#include "core/attention/problem.h"
#include "core/tensor/tensor_view.h"

namespace attn {

// packed: [rows.size(), head_dim] = the folded query rows, turned by their
// angles where the problem has rotation, times `factor`.
void PackQueryTile(const Problem& problem, RowRange rows, float factor,
                   float* packed);

// packed: [head_dim, stride], whose column c < num_keys is key first_key + c,
// turned likewise. widened: room for [num_keys, head_dim] floats.
void PackKeyTile(const Problem& problem, int64_t first_key, int64_t num_keys,
                 float* widened, int64_t stride, float* packed);

// packed: [num_keys, value_head_dim]. Returns whether every value is finite: a
// weight of 0 times NaN or infinity would reach rows that must not see it.
[[nodiscard]] bool PackValueTile(const RowsView& value, int64_t first_key,
                                 int64_t num_keys, float* packed);

}  // namespace attn
