// The models that the Open Inference Protocol shows: two that every server has,
// one engine where what differs is whether requests name a sequence; and one
// for each layer that is loaded.
#pragma once

#include <array>
#include <optional>
#include <string_view>

#include "absl/status/statusor.h"

namespace attn {

enum class InferModel {
  kAttention,    // Stateless: K and V come with Q.
  kAttentionKv,  // Sequences: K and V are appended to a session.
  kLayer,        // Hidden states through an attention layer.
};
// Those that are always there.
inline constexpr std::array kInferModels{InferModel::kAttention,
                                         InferModel::kAttentionKv};

// What the name of a layer's model begins with; the layer's own comes behind.
inline constexpr std::string_view kLayerPrefix = "layer:";

// Of every model. A number, as clients parse it.
inline constexpr std::string_view kModelVersion = "1";

// "attention" and "attention_kv"; "layer:<name>" for those of layers.
std::string_view InferModelName(InferModel model);

// Whatever layers there are. NOT_FOUND for other names, and for versions other
// than "1" and "".
absl::StatusOr<InferModel> FindInferModel(std::string_view name,
                                          std::string_view version);

// NOT_FOUND.
absl::Status UnknownModel(std::string_view name);

}  // namespace attn
