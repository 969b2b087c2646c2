// An attention layer of a published model: its projections, packed, and what
// its config.json says of how queries and keys are made from them. Made by
// LoadLayer (layer_loader.h), run by the engine (core/engine/forward_job.h).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/attention/params.h"
#include "core/attention/rope_frequencies.h"
#include "core/projection/linear.h"

namespace attn {

// Root mean square norm of each head of queries or keys:
//   x -> x / sqrt(mean(x^2) + epsilon) * weight.
struct HeadNorm {
  std::vector<float> weight = {};  // [head_dim]; empty: none.
  double epsilon = 1e-6;

  bool is_on() const { return !weight.empty(); }
};

// Thread-safe: constant once made. Shared by the store and the requests that
// run through it.
struct AttentionLayer {
  std::string name = {};        // "<model>/<index>"
  std::string model_type = {};  // "qwen3"
  int64_t index = 0;
  int64_t hidden_dim = 0;
  int64_t output_dim = 0;
  int64_t num_q_heads = 0;
  int64_t num_kv_heads = 0;
  int64_t head_dim = 0;
  WeightFormat format = WeightFormat::kF32;

  // [hidden_dim] to [num_q_heads * head_dim], [num_kv_heads * head_dim] twice,
  // and [num_q_heads * head_dim] to [output_dim].
  std::unique_ptr<const Linear> query = {};
  std::unique_ptr<const Linear> key = {};
  std::unique_ptr<const Linear> value = {};
  std::unique_ptr<const Linear> output = {};

  HeadNorm query_norm = {};
  HeadNorm key_norm = {};
  // Null: no rotary embedding. Pairs are (c, c + rotary_dim / 2).
  std::shared_ptr<const RopeFrequencies> rope = {};
  CausalMode causal = CausalMode::kNone;
  // Tokens that a row sees, itself included; 0: all.
  int64_t window = 0;
  double scale = 1;

  int64_t weight_bytes() const {
    return query->bytes() + key->bytes() + value->bytes() + output->bytes();
  }
};

using AttentionLayerPtr = std::shared_ptr<const AttentionLayer>;

}  // namespace attn
