#include "server/inference/served_model.h"

#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/status_macros.h"

namespace attn {
namespace {

ServedModel AlwaysServed(InferModel model) {
  return {.model = model, .name = std::string(InferModelName(model))};
}

ServedModel Of(AttentionLayerPtr layer) {
  std::string name = absl::StrCat(std::string(kLayerPrefix), layer->name);
  return {.model = InferModel::kLayer,
          .name = std::move(name),
          .layer = std::move(layer)};
}

}  // namespace

absl::StatusOr<ServedModel> FindServed(const LayerStore& layers,
                                       std::string_view name,
                                       std::string_view version) {
  ATTN_ASSIGN_OR_RETURN(const InferModel model, FindInferModel(name, version));
  if (model != InferModel::kLayer) return AlwaysServed(model);
  absl::StatusOr<AttentionLayerPtr> layer =
      layers.Find(name.substr(kLayerPrefix.size()));
  if (!layer.ok()) return UnknownModel(name);
  return Of(*std::move(layer));
}

std::vector<ServedModel> AllServed(const LayerStore& layers) {
  std::vector<AttentionLayerPtr> loaded =
      layers.List("", std::numeric_limits<int64_t>::max());
  std::vector<ServedModel> all;
  all.reserve(kInferModels.size() + loaded.size());
  for (const InferModel model : kInferModels) {
    all.push_back(AlwaysServed(model));
  }
  for (AttentionLayerPtr& layer : loaded) all.push_back(Of(std::move(layer)));
  return all;
}

}  // namespace attn
