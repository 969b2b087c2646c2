// The layers that are loaded, by name, from the models of one folder.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "core/layer/attention_layer.h"
#include "core/layer/layer_budget.h"
#include "core/layer/layer_name.h"
#include "core/layer/model_folder.h"

namespace attn {

struct LayerStoreOptions {
  // Holds a checkpoint (config.json), or one in each of its folders. Empty: no
  // layers at all.
  std::string folder = {};
  // Of layers that are loaded without a word about it; kUnspecified: as the
  // checkpoint has them.
  WeightFormat format = WeightFormat::kUnspecified;
  // Bound of all packed weights.
  int64_t max_bytes = int64_t{8} << 30;
};

// Thread-safe. Loading takes seconds and holds up nobody but other loads.
class LayerStore {
 public:
  explicit LayerStore(LayerStoreOptions options);

  // "<model>/<index>" of every layer of every model in the folder, ordered by
  // model and index. Errors: the first model's that cannot be read, with its
  // path.
  absl::StatusOr<std::vector<std::string>> Published() const;

  // INVALID_ARGUMENT for what is no name of a layer; NOT_FOUND /
  // LAYER_NOT_FOUND for a model or an index that is not there; ALREADY_EXISTS /
  // LAYER_LOADED; FAILED_PRECONDITION / BAD_CHECKPOINT with the file and the
  // reason; RESOURCE_EXHAUSTED / LAYER_MEMORY beyond max_bytes.
  absl::StatusOr<AttentionLayerPtr> Load(
      std::string_view name, WeightFormat format = WeightFormat::kUnspecified);

  // NOT_FOUND / LAYER_NOT_LOADED.
  absl::Status Unload(std::string_view name);
  absl::StatusOr<AttentionLayerPtr> Find(std::string_view name) const;

  // By model and index; up to `max_layers` of those after `after`.
  std::vector<AttentionLayerPtr> List(std::string_view after,
                                      int64_t max_layers) const;
  // Of the packed weights of what is listed or being loaded, and of what runs
  // yet although it was unloaded.
  int64_t bytes() const;

 private:
  // Maps the model's files, packs the layer and lets them go.
  absl::StatusOr<AttentionLayerPtr> LoadFrom(const Model& model, int64_t index,
                                             WeightFormat format) const;

  const LayerStoreOptions options_;
  const std::shared_ptr<LayerBudget> budget_;  // Shared with layers in use.
  // Held while a layer is loaded, so that of two loads of one name the second
  // finds it loaded.
  absl::Mutex load_mutex_ ABSL_ACQUIRED_BEFORE(mutex_);
  mutable absl::Mutex mutex_;
  std::map<std::string, AttentionLayerPtr, LayerNameLess> layers_
      ABSL_GUARDED_BY(mutex_);
};

}  // namespace attn
