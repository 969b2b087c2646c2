#include "server/inference/model.h"

#include <algorithm>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/inference/shown_text.h"

namespace attn {
namespace {

absl::StatusOr<InferModel> FindByName(std::string_view name) {
  if (absl::StartsWith(std::string(name), std::string(kLayerPrefix))) {
    return InferModel::kLayer;
  }
  const auto* found = std::find_if(
      kInferModels.begin(), kInferModels.end(),
      [name](InferModel model) { return name == InferModelName(model); });
  if (found == kInferModels.end()) return UnknownModel(name);
  return *found;
}

}  // namespace

std::string_view InferModelName(InferModel model) {
  switch (model) {
    case InferModel::kAttention:
      return "attention";
    case InferModel::kAttentionKv:
      return "attention_kv";
    case InferModel::kLayer:
      return "layer:<name>";
  }
  return "";
}

absl::StatusOr<InferModel> FindInferModel(std::string_view name,
                                          std::string_view version) {
  absl::StatusOr<InferModel> model = FindByName(name);
  if (!model.ok() || version.empty() || version == kModelVersion) return model;
  return absl::NotFoundError(absl::StrCat(
      "model_version must be 1 or empty; got \"", ShownText(version), "\""));
}

absl::Status UnknownModel(std::string_view name) {
  return absl::NotFoundError(absl::StrCat(
      "model_name must be attention, attention_kv or layer:<name> of a loaded "
      "layer; got \"",
      ShownText(name), "\""));
}

}  // namespace attn
