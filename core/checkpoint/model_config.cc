#include "core/checkpoint/model_config.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/checkpoint/config_fields.h"
#include "core/checkpoint/json_text.h"

namespace attn {
namespace {

using Json = nlohmann::json;

constexpr std::array<std::pair<std::string_view, ModelFamily>, 6> kFamilies = {
    {{"llama", ModelFamily::kLlama},
     {"mistral", ModelFamily::kLlama},
     {"qwen2", ModelFamily::kLlama},
     {"qwen3", ModelFamily::kLlama},
     {"bert", ModelFamily::kBert},
     {"gpt2", ModelFamily::kGpt2}}};

absl::StatusOr<ModelFamily> FamilyOf(const std::string& model_type) {
  for (const auto& [name, family] : kFamilies) {
    if (name == model_type) return family;
  }
  return NotServed("model_type", ShownJson(model_type));
}

// From the paper: a magnitude that grows with the logarithm of the factor.
double YarnMagnitude(double factor, double scale) {
  return factor <= 1 ? 1 : 0.1 * scale * std::log(factor) + 1;
}

void ReadYarn(ConfigFields& fields, RopeConfig& rope) {
  rope.scaling = RopeScaling::kYarn;
  rope.beta_fast = fields.Number("beta_fast", 0, 32.0);
  rope.beta_slow = fields.Number("beta_slow", 0, 1.0);
  rope.truncate = fields.Flag("truncate", true);
  if (fields.Has("attention_factor")) {
    rope.attention_factor = fields.Number("attention_factor", 0);
  } else if (fields.Has("mscale") && fields.Has("mscale_all_dim")) {
    rope.attention_factor =
        YarnMagnitude(rope.factor, fields.Number("mscale", 0)) /
        YarnMagnitude(rope.factor, fields.Number("mscale_all_dim", 0));
  }
}

void ReadLlama3(ConfigFields& fields, RopeConfig& rope) {
  rope.scaling = RopeScaling::kLlama3;
  rope.low_freq_factor = fields.Number("low_freq_factor", 0);
  rope.high_freq_factor =
      fields.Number("high_freq_factor", rope.low_freq_factor);
}

// Some models have parameters for each kind of layer.
absl::Status CheckFlat(const Json& parameters) {
  for (const auto& [name, value] : parameters.items()) {
    if (value.is_object()) return NotServed("rope_parameters", ShownJson(name));
  }
  return absl::OkStatus();
}

// Scaling, of rope_parameters or rope_scaling.
absl::Status ReadScaling(ConfigFields& fields, int64_t max_position,
                         RopeConfig& rope) {
  // Older files say "type".
  const std::string kind =
      fields.Text("rope_type", fields.Text("type", "default"));
  if (kind == "default") return fields.status();
  // No model has a smaller one, and its inverse is a number.
  constexpr double kLeastFactor = 1e-6;
  rope.factor = fields.Number("factor", kLeastFactor);
  rope.original_max_position =
      fields.Size("original_max_position_embeddings", 1, max_position);
  if (kind == "linear") {
    rope.scaling = RopeScaling::kLinear;
  } else if (kind == "llama3") {
    ReadLlama3(fields, rope);
  } else if (kind == "yarn") {
    ReadYarn(fields, rope);
  } else {
    return NotServed("rope_type", ShownJson(kind));
  }
  return fields.status();
}

absl::StatusOr<RopeConfig> ReadRope(ConfigFields& fields, int64_t head_dim) {
  RopeConfig rope;
  const int64_t max_position = fields.Size("max_position_embeddings", 1, 2048);
  const Json* parameters = fields.Object("rope_parameters");
  const Json* scaling = fields.Object("rope_scaling");
  const Json none = Json::object();
  const Json& given = parameters != nullptr ? *parameters
                      : scaling != nullptr  ? *scaling
                                            : none;
  ATTN_RETURN_IF_ERROR(CheckFlat(given));
  ConfigFields nested(
      given, parameters != nullptr ? "rope_parameters." : "rope_scaling.");
  rope.theta =
      nested.Number("rope_theta", 1, fields.Number("rope_theta", 1, 10000.0));
  const double part =
      nested.Number("partial_rotary_factor", 0,
                    fields.Number("partial_rotary_factor", 0, 1.0));
  // What is above 1 is refused below, and may fit no integer.
  rope.rotary_dim =
      static_cast<int64_t>(static_cast<double>(head_dim) * std::min(part, 2.0));
  ATTN_RETURN_IF_ERROR(fields.status());
  ATTN_RETURN_IF_ERROR(ReadScaling(nested, max_position, rope));
  if (part > 1 || rope.rotary_dim < 2 || rope.rotary_dim % 2 != 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "partial_rotary_factor must leave an even number of channels up to "
        "head_dim; got ",
        rope.rotary_dim, " of ", head_dim));
  }
  return rope;
}

// Which layers have the window: those that layer_types names, else all from
// max_window_layers on.
void ReadWindow(ConfigFields& fields, ModelConfig& config) {
  const bool is_used =
      fields.Flag("use_sliding_window", config.model_type == "mistral");
  if (!is_used || !fields.Has("sliding_window")) return;
  config.sliding_window = fields.Size("sliding_window", 1);
  const int64_t first = config.model_type == "mistral"
                            ? 0
                            : fields.Size("max_window_layers", 0, 28);
  const Json* types = fields.List("layer_types");
  if (types != nullptr && std::ssize(*types) != config.num_layers) {
    fields.Fail("layer_types", "must have a type for each layer");
    return;
  }
  for (int64_t i = 0; i < config.num_layers; ++i) {
    const bool is_windowed =
        types == nullptr
            ? i >= first
            : (*types)[static_cast<size_t>(i)] == "sliding_attention";
    config.windowed_layers += is_windowed ? 'w' : '-';
  }
}

// head_dim = hidden / heads, and KV heads that divide query heads.
absl::Status CheckHeads(const ModelConfig& config, bool is_given) {
  if (!is_given && config.hidden_dim % config.num_q_heads != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("the heads must divide the hidden size; got ",
                     config.num_q_heads, " and ", config.hidden_dim));
  }
  if (config.num_q_heads % config.num_kv_heads != 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "num_key_value_heads must divide num_attention_heads; got ",
        config.num_kv_heads, " and ", config.num_q_heads));
  }
  return absl::OkStatus();
}

absl::Status ReadLlama(ConfigFields& fields, ModelConfig& config) {
  config.num_layers = fields.Size("num_hidden_layers", 1);
  config.hidden_dim = fields.Size("hidden_size", 1);
  config.num_q_heads = fields.Size("num_attention_heads", 1);
  config.num_kv_heads =
      fields.Size("num_key_value_heads", 1, config.num_q_heads);
  config.head_dim =
      fields.Size("head_dim", 1, config.hidden_dim / config.num_q_heads);
  config.norm_epsilon = fields.Number("rms_norm_eps", 0, 1e-6);
  ReadWindow(fields, config);
  ATTN_RETURN_IF_ERROR(fields.status());
  ATTN_RETURN_IF_ERROR(CheckHeads(config, fields.Has("head_dim")));
  ATTN_ASSIGN_OR_RETURN(config.rope, ReadRope(fields, config.head_dim));
  return absl::OkStatus();
}

absl::Status ReadBert(ConfigFields& fields, ModelConfig& config) {
  config.num_layers = fields.Size("num_hidden_layers", 1);
  config.hidden_dim = fields.Size("hidden_size", 1);
  config.num_q_heads = fields.Size("num_attention_heads", 1);
  config.num_kv_heads = config.num_q_heads;
  config.head_dim = config.hidden_dim / config.num_q_heads;
  const std::string positions =
      fields.Text("position_embedding_type", "absolute");
  ATTN_RETURN_IF_ERROR(fields.status());
  if (positions != "absolute") {
    return NotServed("position_embedding_type", ShownJson(positions));
  }
  return CheckHeads(config, /*is_given=*/false);
}

absl::Status ReadGpt2(ConfigFields& fields, ModelConfig& config) {
  config.num_layers = fields.Size("n_layer", 1);
  config.hidden_dim = fields.Size("n_embd", 1);
  config.num_q_heads = fields.Size("n_head", 1);
  config.num_kv_heads = config.num_q_heads;
  config.head_dim = config.hidden_dim / config.num_q_heads;
  config.scales_by_head_dim = fields.Flag("scale_attn_weights", true);
  config.scales_by_layer =
      fields.Flag("scale_attn_by_inverse_layer_idx", false);
  ATTN_RETURN_IF_ERROR(fields.status());
  return CheckHeads(config, /*is_given=*/false);
}

absl::Status ReadFamily(ConfigFields& fields, ModelConfig& config) {
  switch (config.family) {
    case ModelFamily::kLlama:
      return ReadLlama(fields, config);
    case ModelFamily::kBert:
      return ReadBert(fields, config);
    case ModelFamily::kGpt2:
      return ReadGpt2(fields, config);
  }
  return absl::InternalError("a family that is none");
}

}  // namespace

absl::StatusOr<ModelConfig> ParseModelConfig(std::string_view json) {
  ATTN_ASSIGN_OR_RETURN(const Json object, ParseJsonObject(json));
  ConfigFields fields(object, "");
  ModelConfig config{.model_type = fields.Text("model_type")};
  ATTN_RETURN_IF_ERROR(fields.status());
  ATTN_ASSIGN_OR_RETURN(config.family, FamilyOf(config.model_type));
  ATTN_RETURN_IF_ERROR(ReadFamily(fields, config));
  return config;
}

}  // namespace attn
