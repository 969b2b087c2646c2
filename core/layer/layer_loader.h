// From a checkpoint to a layer that runs: its weights are packed, and what
// config.json says of its structure is put into the terms of attention.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "core/checkpoint/checkpoint.h"
#include "core/layer/attention_layer.h"
#include "core/layer/layer_weights.h"

namespace attn {

// What a layer will be. Borrows from the checkpoint.
struct LayerPlan {
  int64_t index = 0;
  WeightFormat format = WeightFormat::kF32;
  LayerWeights weights = {};
  // Of the packed weights.
  int64_t bytes = 0;
};

// As FindLayerWeights. kUnspecified: the format of the query's weights, F32 for
// those of F64.
absl::StatusOr<LayerPlan> PlanLayer(const Checkpoint& checkpoint, int64_t index,
                                    WeightFormat format);

// Packs it. `model`: its name. Errors: Linear::Pack's.
absl::StatusOr<std::unique_ptr<AttentionLayer>> LoadLayer(
    const Checkpoint& checkpoint, const std::string& model,
    const LayerPlan& plan);

}  // namespace attn
