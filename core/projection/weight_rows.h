// Weights of a checkpoint as rows of f32, one a channel, whatever their type
// and order.
#pragma once

#include <cstdint>

#include "core/projection/linear.h"

namespace attn {

// to: [count, in_dim], the weights of channels [first, first + count). F64 is
// rounded once. REQUIRES: 0 <= first, first + count <= out_dim.
void ReadWeightRows(const LinearSource& source, int64_t first, int64_t count,
                    float* to);

// to: [out_dim]; zeros without a bias.
void ReadBias(const LinearSource& source, float* to);

}  // namespace attn
