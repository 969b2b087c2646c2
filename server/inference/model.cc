#include "server/inference/model.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "server/inference/shown_text.h"

namespace attn {
std::string_view ModelName(Model model) {
  return model == Model::kAttention ? "attention" : "attention_kv";
}

absl::StatusOr<Model> FindModel(std::string_view name,
                                std::string_view version) {
  for (const Model model : kModels) {
    if (name != ModelName(model)) continue;
    if (version.empty() || version == kModelVersion) return model;
    return absl::NotFoundError(absl::StrCat(
        "model_version must be 1 or empty; got \"", ShownText(version), "\""));
  }
  return absl::NotFoundError(
      absl::StrCat("model_name must be attention or attention_kv; got \"",
                   ShownText(name), "\""));
}

}  // namespace attn
