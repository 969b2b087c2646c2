// Exact merge of answers over disjoint parts of keys and values: how a context
// that no single server holds is attended to. Each part is asked for with
// OutputOptions::return_lse; the merged answer is what one server with all keys
// would have said, for every row
//
//   lse    = log(sum_p exp(lse_p))
//   output = sum_p exp(lse_p - lse) * output_p
//
// What to send so that the parts add up to the whole:
//
// 1. A server counts the keys it gets from 0. Part p begins at key s of the
//    whole: give it the causal_offset `offset - s` (also for ALiBi and windows
//    without causal, and in place of kBottomRight, which knows the part's
//    length alone), its slice of attn_mask and kv_lengths, and with rope the
//    key_positions of its keys and the positions of the query.
// 2. A sink is one more term of the whole's denominator, so it belongs to one
//    part only. Where a row sees no key of that part the part's lse is -inf and
//    the sink is lost: so either one part has keys that every row sees (the
//    first one under causal without a window), or no part gets the sinks and
//    they are given to Merge.
//
// Accuracy: sums are f64, every result is rounded once. An f32 lse carries an
// error of up to |lse| * 2^-24, which is the relative error of the part's
// weight. Pure functions: thread-safe.
#pragma once

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "client/cpp/request.h"
#include "client/cpp/tensor.h"

namespace attn::client {

// The answer over one part, or over several merged ones.
struct PartialAnswer {
  // AttendResponse::output: [B, num_q_heads, q_len, value_head_dim] in kBhsd,
  // [B, q_len, num_q_heads, value_head_dim] in kBshd,
  // [B, q_len, num_q_heads * value_head_dim] in kBse; f32, f16, bf16 or f64.
  Tensor output = {};
  // AttendResponse::lse: [B, num_q_heads, q_len] f32 (f64 is taken, too).
  Tensor lse = {};
};

// The answer over all parts, in their shapes and dtypes. The sum runs from the
// first part to the last and depends on nothing else: the same parts give the
// same bytes. One part alone comes back with its own values, and merged answers
// can be merged again.
//
// lse -inf: the part has no key for the row and contributes nothing, whatever
// its output holds. A row without keys in any part: output 0, lse -inf. An lse
// of NaN or +inf gives NaN.
//
// `sinks`: [num_q_heads] logits that no part was given, or empty; they join the
// denominator of the rows that have a key.
//
// Errors: INVALID_ARGUMENT for no part, an lse that is missing, dtypes that
// are no floats, shapes or dtypes that differ between parts, an lse that does
// not fit the output in `layout`, an unknown layout, sinks that are not
// finite or not one for each head.
absl::StatusOr<PartialAnswer> Merge(absl::Span<const PartialAnswer> parts,
                                    Layout layout = Layout::kUnspecified,
                                    absl::Span<const float> sinks = {});

}  // namespace attn::client
