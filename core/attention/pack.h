// Tiles of query, key and value as the tile GEMM wants them: f32, keys
// transposed. Packing reads each row once, converts on the way, and pays for
// itself: products with untransposed keys are 10-25 % slower
// (design/performance.md). Values of f32 stay where they lie.
#pragma once

#include <cstdint>

#include "core/attention/problem.h"
#include "core/tensor/tensor_view.h"

namespace attn {

// packed: [rows.size(), head_dim] = the folded query rows, turned by their
// angles where the problem has rotation, times `factor`.
void PackQueryTile(const Problem& problem, RowRange rows, float factor,
                   float* packed);

// Room for a tile of keys.
struct KeyTileScratch {
  float* widened = nullptr;  // [num_keys, head_dim]
  float* packed = nullptr;   // [head_dim, stride]
  int64_t stride = 0;
};

// A tile of keys in scratch.packed, whose column c < num_keys is key
// first_key + c, turned likewise.
void PackKeyTile(const Problem& problem, int64_t first_key, int64_t num_keys,
                 const KeyTileScratch& scratch);

// A tile of values [num_keys, stride], value_head_dim of each row in use; in
// `packed` or among the request's.
struct ValueTile {
  const float* data = nullptr;
  int64_t stride = 0;
};
ValueTile PackValueTile(const Problem& problem, int64_t first_key,
                        int64_t num_keys, float* packed);

// Whether none of [num_rows, stride], dim of each row in use, is NaN or
// infinite.
bool AreFinite(const float* rows, int64_t num_rows, int64_t dim,
               int64_t stride);

}  // namespace attn
