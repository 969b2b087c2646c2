// Tiles of a session's keys and values, out of its pages. Pages of f32 are used
// where they lie; f16, bf16 and packed ones are widened once for all rows of a
// head group, or taken as they are for few rows (StoredKeys, StoredValues).
//
// Tokens that left a session's window count as zero: their pages are gone, and
// no row sees them.
#pragma once

#include <cstdint>
#include <optional>

#include "core/attention/pack.h"
#include "core/attention/problem.h"
#include "core/attention/tile_gemm.h"

namespace attn {

// PackKeyTile of a problem whose pages are on.
KeyTile PackPagedKeys(const Problem& problem, int64_t first_key,
                      int64_t num_keys, const KeyTileScratch& scratch);

// Values [num_keys, value_head_dim], in `packed` or in a page.
struct PagedValues {
  const float* data = nullptr;
  bool is_known_finite = false;  // False: nobody looked.
};
PagedValues PackPagedValues(const Problem& problem, int64_t first_key,
                            int64_t num_keys, float* packed);

// The same keys and values as they are stored, where they are f16, bf16 or
// packed and lie in one page: [dim, 64] and [num_keys, value_head_dim]. Nothing
// where they do not, or where some are NaN or infinite (in packed keys and in
// values).
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
