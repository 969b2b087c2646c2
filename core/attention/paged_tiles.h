// Tiles of a session's keys and values, out of its pages: taken as they are
// stored where a product can (StoredKeys, StoredValues), else widened to f32
// once for all rows of a head group.
//
// Tokens that left a session's window count as zero: their pages are gone, and
// no row sees them.
#pragma once

#include <cstdint>
#include <optional>

#include "core/attention/problem.h"
#include "core/attention/tile_gemm.h"

namespace attn {

// Keys [head_dim, stride] and values [num_keys, value_head_dim] in f32, of a
// problem whose pages are on.
void PackPagedKeys(const Problem& problem, int64_t first_key, int64_t num_keys,
                   float* packed, int64_t stride);
void PackPagedValues(const Problem& problem, int64_t first_key,
                     int64_t num_keys, float* packed);

// The same as they are stored, if the tile is a page or the start of one:
// [head_dim, 64] and [num_keys, value_head_dim], with the next page to fetch.
// Nothing where it is not, or where a packed row holds NaN or infinity.
std::optional<StoredMatrix> StoredKeys(const Problem& problem,
                                       int64_t first_key, int64_t num_keys);
std::optional<StoredMatrix> StoredValues(const Problem& problem,
                                         int64_t first_key, int64_t num_keys);

// One key or value [dim] in f64.
void WidenPagedKey(const PagedHead& paged, int64_t key, int64_t dim,
                   double* to);
void WidenPagedValue(const PagedHead& paged, int64_t key, int64_t dim,
                     double* to);

}  // namespace attn
