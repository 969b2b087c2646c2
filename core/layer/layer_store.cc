#include "core/layer/layer_store.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/checkpoint/checkpoint.h"
#include "core/layer/layer_loader.h"

namespace attn {
namespace {

absl::Status NotFound(const std::string& message) {
  return MakeError(absl::StatusCode::kNotFound, Reason::kLayerNotFound,
                   message);
}

absl::Status NotLoaded(std::string_view name) {
  return MakeError(absl::StatusCode::kNotFound, Reason::kLayerNotLoaded,
                   absl::StrCat("layer ", std::string(name.substr(0, 140)),
                                " is not loaded"));
}

absl::Status MemoryError(absl::string_view message) {
  return MakeError(absl::StatusCode::kResourceExhausted, Reason::kLayerMemory,
                   {message.data(), message.size()});
}

absl::StatusOr<Checkpoint> Open(const Model& model) {
  auto checkpoint = Checkpoint::Open(model.path);
  if (!checkpoint.ok()) return BadCheckpoint(model.path, checkpoint.status());
  return checkpoint;
}

// A layer with its share of the budget, given back with the layer's memory.
struct CountedLayer {
  std::unique_ptr<const LayerBudget::Share> share;
  std::unique_ptr<const AttentionLayer> layer;  // Destroyed first.
};

}  // namespace

LayerStore::LayerStore(LayerStoreOptions options)
    : options_(std::move(options)),
      budget_(std::make_shared<LayerBudget>(options_.max_bytes)) {}

absl::StatusOr<std::vector<std::string>> LayerStore::Published() const {
  std::vector<std::string> names;
  if (options_.folder.empty()) return names;
  ATTN_ASSIGN_OR_RETURN(const std::vector<Model> models,
                        FindModels(options_.folder));
  for (const Model& model : models) {
    ATTN_ASSIGN_OR_RETURN(const Checkpoint checkpoint, Open(model));
    for (int64_t i = 0; i < checkpoint.config().num_layers; ++i) {
      names.push_back(absl::StrCat(model.name, "/", i));
    }
  }
  return names;
}

absl::StatusOr<AttentionLayerPtr> LayerStore::Load(std::string_view name,
                                                   WeightFormat format) {
  ATTN_ASSIGN_OR_RETURN(const LayerName parsed, ParseLayerName(name));
  const absl::MutexLock loading(&load_mutex_);
  if (Find(name).ok()) {
    return MakeError(absl::StatusCode::kAlreadyExists, Reason::kLayerLoaded,
                     absl::StrCat("layer ", std::string(name), " is loaded"));
  }
  if (options_.folder.empty()) return NotFound("the server has no models");
  ATTN_ASSIGN_OR_RETURN(const Model model,
                        FindModel(options_.folder, parsed.model));
  ATTN_ASSIGN_OR_RETURN(
      AttentionLayerPtr layer,
      LoadFrom(
          model, parsed.index,
          format == WeightFormat::kUnspecified ? options_.format : format));
  const absl::MutexLock lock(&mutex_);
  layers_.emplace(layer->name, layer);
  return layer;
}

absl::StatusOr<AttentionLayerPtr> LayerStore::LoadFrom(
    const Model& model, int64_t index, WeightFormat format) const {
  ATTN_ASSIGN_OR_RETURN(const Checkpoint checkpoint, Open(model));
  const int64_t num_layers = checkpoint.config().num_layers;
  if (index >= num_layers) {
    return NotFound(absl::StrCat("model ", model.name, " has ", num_layers,
                                 " layers; got index ", index));
  }
  const auto plan = PlanLayer(checkpoint, index, format);
  if (!plan.ok()) return BadCheckpoint(model.path, plan.status());
  auto share = budget_->Take(plan->bytes);
  if (share == nullptr) {
    return MemoryError(absl::StrCat(
        "weights of ", plan->bytes, " bytes do not fit into what ",
        options_.max_bytes, " bytes have left; got ", bytes(), " in use"));
  }
  auto layer = LoadLayer(checkpoint, model.name, *plan);
  if (absl::IsResourceExhausted(layer.status())) {
    return MemoryError(layer.status().message());
  }
  if (absl::IsInvalidArgument(layer.status())) {
    return BadCheckpoint(model.path, layer.status());
  }
  ATTN_RETURN_IF_ERROR(layer.status());
  auto counted = std::make_shared<const CountedLayer>(
      CountedLayer{std::move(share), *std::move(layer)});
  return AttentionLayerPtr(counted, counted->layer.get());
}

absl::Status LayerStore::Unload(std::string_view name) {
  AttentionLayerPtr unloaded;  // Its memory is given back without the lock.
  const absl::MutexLock lock(&mutex_);
  const auto found = layers_.find(name);
  if (found == layers_.end()) return NotLoaded(name);
  unloaded = std::move(found->second);
  layers_.erase(found);
  return absl::OkStatus();
}

absl::StatusOr<AttentionLayerPtr> LayerStore::Find(
    std::string_view name) const {
  const absl::MutexLock lock(&mutex_);
  const auto found = layers_.find(name);
  if (found == layers_.end()) return NotLoaded(name);
  return found->second;
}

std::vector<AttentionLayerPtr> LayerStore::List(std::string_view after,
                                                int64_t max_layers) const {
  std::vector<AttentionLayerPtr> listed;
  const absl::MutexLock lock(&mutex_);
  for (auto layer = layers_.upper_bound(after);
       layer != layers_.end() && std::ssize(listed) < max_layers; ++layer) {
    listed.push_back(layer->second);
  }
  return listed;
}

int64_t LayerStore::bytes() const { return budget_->bytes(); }

}  // namespace attn
