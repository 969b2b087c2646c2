// What a published model's config.json says of its attention layers. Only that
// is read; the rest of the file, which is long, may say what it likes.
//
// Families: LlamaForCausalLM and what has its layers (Mistral, Qwen 2 and 3),
// BERT, GPT-2. Fields and defaults: Hugging Face transformers' configurations
// of these models, as version 4 and version 5 write them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "core/attention/rope_frequencies.h"

namespace attn {

enum class ModelFamily { kLlama, kBert, kGpt2 };

struct ModelConfig {
  std::string model_type;  // "qwen3", as the file has it.
  ModelFamily family = ModelFamily::kLlama;
  int64_t num_layers = 0;
  // Width of what goes into a layer and comes out of it.
  int64_t hidden_dim = 0;
  int64_t num_q_heads = 0;
  int64_t num_kv_heads = 0;
  int64_t head_dim = 0;
  // Absent: positions are not the layers' business.
  std::optional<RopeConfig> rope = {};
  // Of the norm that some models put on each head's query and key; their
  // weights say whether there is one.
  double norm_epsilon = 1e-6;
  // How many tokens a row sees in the layers that have a sliding window, itself
  // included, and which those are; absent: none has.
  std::optional<int64_t> sliding_window = {};
  std::string windowed_layers = {};  // 'w' or '-' for each layer.
  // GPT-2 may leave out 1 / sqrt(head_dim), and may divide the scores of layer
  // i by i + 1.
  bool scales_by_head_dim = true;
  bool scales_by_layer = false;

  bool has_window(int64_t layer) const {
    return sliding_window.has_value() &&
           windowed_layers[static_cast<size_t>(layer)] == 'w';
  }
};

// INVALID_ARGUMENT that names the field, the rule and what was found: JSON that
// is none, a field that is missing or of another kind, sizes that do not fit
// each other or are beyond any model's. UNIMPLEMENTED for models and ways to
// scale rotary embeddings that are not served.
absl::StatusOr<ModelConfig> ParseModelConfig(std::string_view json);

}  // namespace attn
