// A model of the Open Inference Protocol that is there at the moment: one of
// the two of every server, or that of a loaded layer.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "core/layer/layer_store.h"
#include "server/inference/model.h"

namespace attn {

struct ServedModel {
  InferModel model = InferModel::kAttention;
  std::string name = {};  // "attention" or "layer:llama/0"
  // kLayer alone. Kept by whoever holds this, also when it is unloaded.
  AttentionLayerPtr layer = {};
};

// NOT_FOUND for other names and versions, and for layers that are not loaded.
absl::StatusOr<ServedModel> FindServed(const LayerStore& layers,
                                       std::string_view name,
                                       std::string_view version);

// The two, and the layers in their order.
std::vector<ServedModel> AllServed(const LayerStore& layers);

}  // namespace attn
