// How fast the pairs of a rotary embedding turn, written down from the papers
// and from transformers' modeling_rope_utils.py, and from nothing of the core:
// for references.
#pragma once

#include <vector>

#include "core/attention/rope_frequencies.h"

namespace attn::test {

struct RopeReference {
  std::vector<double> per_position = {};  // [rotary_dim / 2]; empty: no rope.
  double magnitude = 1;
};

// REQUIRES: config.rotary_dim above 0.
RopeReference MakeRopeReference(const RopeConfig& config);

}  // namespace attn::test
