// Partial answers over disjoint parts of the keys, merged to the answer over
// all of them, by their log-sum-exp:
//
//   lse = log(sum over parts of exp(lse_p))
//   output = sum over parts of exp(lse_p - lse) * output_p
//
// Exact but for rounding, whatever the partition (as in FlashAttention's
// split-KV and FlashInfer's merge_states). A sink belongs to one part only, and
// to one with a key for every row: a row without keys has lse -inf, and its
// sink would be lost.
#pragma once

#include <cstdint>

#include "absl/types/span.h"

namespace attn {

// What a part of the keys says about `num_rows` rows. Borrows.
struct PartialAnswer {
  const float* output = nullptr;  // [num_rows, dim]
  const float* lse = nullptr;     // [num_rows], natural; -inf: saw no key.
};

// output: [num_rows, dim], lse: [num_rows]; may be those of a part. Parts are
// summed in the order given, in f64, rounded once. A row that no part has a key
// for gives output 0 and lse -inf.
void Merge(absl::Span<const PartialAnswer> parts, int64_t num_rows, int64_t dim,
           float* output, float* lse);

}  // namespace attn
