// The models that the Open Inference Protocol shows. They are one engine;
// what differs is whether requests name a sequence.
#pragma once

#include <array>
#include <optional>
#include <string_view>

#include "absl/status/statusor.h"

namespace attn {

enum class Model {
  kAttention,    // Stateless: K and V come with Q.
  kAttentionKv,  // Sequences: K and V are appended to a session.
};
inline constexpr std::array kModels{Model::kAttention, Model::kAttentionKv};

// Of every model. A number, as clients parse it.
inline constexpr std::string_view kModelVersion = "1";

// "attention" and "attention_kv".
std::string_view ModelName(Model model);

// NOT_FOUND for other names, and for versions other than "1" and "".
absl::StatusOr<Model> FindModel(std::string_view name,
                                std::string_view version);

}  // namespace attn
