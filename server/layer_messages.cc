#include "server/layer_messages.h"

#include "absl/strings/str_cat.h"
#include "core/base/error.h"

namespace attn {

v1::Layer ToWire(const AttentionLayer& layer) {
  v1::Layer wire;
  wire.set_name(layer.name);
  wire.set_model_type(layer.model_type);
  wire.set_index(static_cast<uint32_t>(layer.index));
  wire.set_hidden_dim(static_cast<uint32_t>(layer.hidden_dim));
  wire.set_output_dim(static_cast<uint32_t>(layer.output_dim));
  wire.set_num_q_heads(static_cast<uint32_t>(layer.num_q_heads));
  wire.set_num_kv_heads(static_cast<uint32_t>(layer.num_kv_heads));
  wire.set_head_dim(static_cast<uint32_t>(layer.head_dim));
  wire.set_causal(static_cast<v1::CausalMode>(layer.causal));
  wire.set_window(static_cast<uint64_t>(layer.window));
  wire.set_has_rope(layer.rope != nullptr);
  wire.set_weights(static_cast<v1::WeightFormat>(layer.format));
  wire.set_weight_bytes(static_cast<uint64_t>(layer.weight_bytes()));
  return wire;
}

absl::StatusOr<WeightFormat> ToWeightFormat(v1::WeightFormat wire) {
  if (v1::WeightFormat_IsValid(wire)) return static_cast<WeightFormat>(wire);
  return InvalidOption("weights", "must be an enum number from 0 to 4",
                       absl::StrCat(static_cast<int>(wire)));
}

}  // namespace attn
