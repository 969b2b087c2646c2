// The root mean square norm that some models put on each head of queries and
// keys (Zhang and Sennrich, "Root Mean Square Layer Normalization", 2019).
#pragma once

#include <cstdint>

#include "core/layer/attention_layer.h"

namespace attn {

// Rows [num_rows, num_heads * head_dim], in place:
//   x = x / sqrt(mean(x^2) + epsilon) * weight
// for each head of each row, sums in f64. REQUIRES: norm.is_on().
void NormalizeHeads(const HeadNorm& norm, int64_t num_rows, int64_t num_heads,
                    float* rows);

}  // namespace attn
