// Where the weights of an attention layer are in a published checkpoint, with
// every name, type and shape checked against its config.json.
//
// Llama and what is like it: [model.]layers.N.self_attn.{q,k,v,o}_proj, biases
// where there are some, {q,k}_norm where the model has them. BERT:
// [bert.]encoder.layer.N.attention.self.{query,key,value} and .output.dense;
// the norm and the sum behind it are the client's. GPT-2:
// [transformer.]h.N.attn.c_attn, which is three projections side by side and
// transposed, and c_proj.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "core/checkpoint/checkpoint.h"
#include "core/projection/linear.h"

namespace attn {

// Borrows from the checkpoint; the norms are copies.
struct LayerWeights {
  LinearSource query = {};
  LinearSource key = {};
  LinearSource value = {};
  LinearSource output = {};
  std::vector<float> query_norm = {};  // [head_dim] or empty.
  std::vector<float> key_norm = {};
};

// INVALID_ARGUMENT that names the tensor, the rule and what was found: one that
// is missing, of another shape than config.json says, or of a type other than
// F32, F16, BF16 and F64. REQUIRES: 0 <= index < config().num_layers.
absl::StatusOr<LayerWeights> FindLayerWeights(const Checkpoint& checkpoint,
                                              int64_t index);

}  // namespace attn
