// Tiles of query, key and value as the tile GEMM wants them: f32, contiguous,
// keys transposed. Packing reads each row once, converts on the way, and pays
// for itself: products with untransposed keys are 10-25 % slower
// (design/performance.md).
#pragma once

#include <cstddef>
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

// A tile of keys [head_dim, stride], whose column c < num_keys is key
// first_key + c, turned likewise. It lies in the scratch, or in a page of f32
// that holds all of them.
struct KeyTile {
  const float* data = nullptr;
  int64_t stride = 0;
};
KeyTile PackKeyTile(const Problem& problem, int64_t first_key, int64_t num_keys,
                    const KeyTileScratch& scratch);

// A tile of values [num_keys, value_head_dim], in `packed` or in a page.
struct ValueTile {
  const float* data = nullptr;
  // A weight of 0 times NaN or infinity would reach rows that must not see it.
  bool is_finite = false;
};
ValueTile PackValueTile(const Problem& problem, int64_t first_key,
                        int64_t num_keys, float* packed);

// Whether none of n elements of F16 or BF16 is NaN or infinite.
bool AreFiniteHalves(const std::byte* halves, int64_t n, DataType dtype);

}  // namespace attn
