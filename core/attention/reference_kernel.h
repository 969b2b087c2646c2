// The formula itself, in f64 and without a trick: what every other kernel is
// compared with. Slow; for tests and for reading.
#pragma once

#include <vector>

#include "core/attention/problem.h"

namespace attn {

// The results of one problem, row-major, in f64.
struct ReferenceResult {
  std::vector<double> output;  // [group_size, q_len, value_head_dim]
  std::vector<double> lse;     // [group_size, q_len]
  // [group_size, q_len, kv_len]; the plan's mode, empty for WeightsMode::kNone.
  std::vector<double> weights;
  // Sum over keys of weight * |value|, like output: the scale of its error.
  std::vector<double> magnitude;
};

ReferenceResult AttendReference(const Problem& problem);

}  // namespace attn
