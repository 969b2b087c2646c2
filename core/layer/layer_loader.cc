#include "core/layer/layer_loader.h"

#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/status_macros.h"

namespace attn {
namespace {

WeightFormat StoredFormat(DataType dtype) {
  switch (dtype) {
    case DataType::kF16:
      return WeightFormat::kF16;
    case DataType::kBF16:
      return WeightFormat::kBF16;
    default:
      return WeightFormat::kF32;
  }
}

int64_t BytesOf(const LinearSource& source, WeightFormat format) {
  return Linear::PackedBytes(source.in_dim, source.out_dim, format);
}

double ScaleOf(const ModelConfig& config, int64_t index) {
  double scale = 1;
  if (config.scales_by_head_dim) {
    scale = 1 / std::sqrt(static_cast<double>(config.head_dim));
  }
  return config.scales_by_layer ? scale / static_cast<double>(index + 1)
                                : scale;
}

// All but the weights.
AttentionLayer Describe(const ModelConfig& config, const std::string& model,
                        const LayerPlan& plan) {
  AttentionLayer layer{
      .name = absl::StrCat(model, "/", plan.index),
      .model_type = config.model_type,
      .index = plan.index,
      .hidden_dim = config.hidden_dim,
      .output_dim = config.hidden_dim,
      .num_q_heads = config.num_q_heads,
      .num_kv_heads = config.num_kv_heads,
      .head_dim = config.head_dim,
      .format = plan.format,
      .query_norm = {plan.weights.query_norm, config.norm_epsilon},
      .key_norm = {plan.weights.key_norm, config.norm_epsilon},
      .causal = config.family == ModelFamily::kBert ? CausalMode::kNone
                                                    : CausalMode::kTopLeft,
      .window = config.has_window(plan.index) ? *config.sliding_window : 0,
      .scale = ScaleOf(config, plan.index)};
  if (config.rope.has_value()) {
    layer.rope = std::make_shared<const RopeFrequencies>(
        MakeRopeFrequencies(*config.rope));
  }
  return layer;
}

}  // namespace

absl::StatusOr<LayerPlan> PlanLayer(const Checkpoint& checkpoint, int64_t index,
                                    WeightFormat format) {
  LayerPlan plan{.index = index, .format = format};
  ATTN_ASSIGN_OR_RETURN(plan.weights, FindLayerWeights(checkpoint, index));
  const LayerWeights& weights = plan.weights;
  if (format == WeightFormat::kUnspecified) {
    plan.format = StoredFormat(weights.query.dtype);
  }
  for (const LinearSource* source :
       {&weights.query, &weights.key, &weights.value, &weights.output}) {
    plan.bytes += BytesOf(*source, plan.format);
  }
  return plan;
}

absl::StatusOr<std::unique_ptr<AttentionLayer>> LoadLayer(
    const Checkpoint& checkpoint, const std::string& model,
    const LayerPlan& plan) {
  auto layer = std::make_unique<AttentionLayer>(
      Describe(checkpoint.config(), model, plan));
  const LayerWeights& weights = plan.weights;
  ATTN_ASSIGN_OR_RETURN(layer->query, Linear::Pack(weights.query, plan.format));
  ATTN_ASSIGN_OR_RETURN(layer->key, Linear::Pack(weights.key, plan.format));
  ATTN_ASSIGN_OR_RETURN(layer->value, Linear::Pack(weights.value, plan.format));
  ATTN_ASSIGN_OR_RETURN(layer->output,
                        Linear::Pack(weights.output, plan.format));
  return layer;
}

}  // namespace attn
