// Partial answers over disjoint parts of the keys, merged to the answer over
// all of them, by their log-sum-exp:
//
//   lse = log(sum over parts of exp(lse_p))
//   output = sum over parts of exp(lse_p - lse) * output_p
//
// Exact but for rounding, whatever the partition (as in FlashAttention's
// split-KV and FlashInfer's merge_states). A sink is given here and to no part,
// where a row without keys, with its lse of -inf, would lose it.
#pragma once

#include <cstdint>

#include "absl/types/span.h"

namespace attn {

// What a part of the keys says about `num_rows` rows. Borrows.
struct PartialAnswer {
  const float* output = nullptr;  // [num_rows, dim]
  const float* lse = nullptr;     // [num_rows], natural; -inf: saw no key.
};

// sinks: [num_rows], or null. output: [num_rows, dim], lse: [num_rows]; may be
// those of a part. Parts are summed in the order given, in f64, rounded once. A
// row that no part has a key for gives output 0 and lse -inf.
void Merge(absl::Span<const PartialAnswer> parts, const float* sinks,
           int64_t num_rows, int64_t dim, float* output, float* lse);

}  // namespace attn
