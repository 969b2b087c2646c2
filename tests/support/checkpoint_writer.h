// Tiny checkpoints with random weights, laid out as those that are published:
// config.json and model.safetensors of every family that the server reads. What
// was written is given back in f64, for a reference to compute with.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/attention/rope_frequencies.h"
#include "core/tensor/dtype.h"

namespace attn::test {

struct CheckpointOptions {
  // "llama", "mistral", "qwen2", "qwen3", "bert" or "gpt2".
  std::string model_type = "llama";
  int64_t num_layers = 2;
  int64_t hidden_dim = 32;
  int64_t num_q_heads = 4;
  // bert and gpt2 have num_q_heads, of hidden_dim / num_q_heads channels.
  int64_t num_kv_heads = 2;
  int64_t head_dim = 8;
  DataType dtype = DataType::kF32;

  // Of all but bert and gpt2; rotary_dim is that of partial_rotary_factor, 0
  // for all of head_dim.
  RopeConfig rope = {};
  // Whether as version 5 of transformers writes it (rope_parameters).
  bool has_rope_parameters = false;
  // Of mistral, and of qwen2 and qwen3 from layer max_window_layers on; 0: no.
  int64_t window = 0;
  int64_t max_window_layers = 0;
  // Of llama (attention_bias); qwen2, bert and gpt2 always have theirs.
  bool has_biases = false;
  double norm_epsilon = 1e-6;  // Of qwen3.
  // Of gpt2.
  bool scales_by_head_dim = true;
  bool scales_by_layer = false;

  // Names as a model with another head than the published one's saves them:
  // llama without "model.", bert with "bert.", gpt2 with "transformer.".
  bool has_other_prefix = false;
  // More than one are listed by model.safetensors.index.json.
  int64_t num_files = 1;
  uint64_t seed = 1;

  bool is_llama_like() const {
    return model_type != "bert" && model_type != "gpt2";
  }
};

// out = weights in + bias.
struct WrittenLinear {
  int64_t in_dim = 0;
  int64_t out_dim = 0;
  std::vector<double> weights = {};  // [out_dim, in_dim]
  std::vector<double> bias = {};     // [out_dim] or empty.
};

struct WrittenLayer {
  WrittenLinear query = {};
  WrittenLinear key = {};
  WrittenLinear value = {};
  WrittenLinear output = {};
  std::vector<double> query_norm = {};  // [head_dim] or empty.
  std::vector<double> key_norm = {};
};

// Makes the folder and the files in it. Weights are such that Gaussian rows of
// hidden states make Gaussian queries and keys, biases and norms such that
// leaving one out shows. Dies when something cannot be written.
std::vector<WrittenLayer> WriteCheckpoint(const CheckpointOptions& options,
                                          const std::string& folder);

}  // namespace attn::test
