#include "server/layer_host.h"

#include <limits>

#include "absl/strings/str_cat.h"
#include "server/layer_loading.h"

namespace attn {
namespace {

// Loads take seconds: whoever finds so many before it had better ask later.
constexpr size_t kMaxWaitingLoads = 64;

}  // namespace

LayerHost::LayerHost(const ServerConfig& config)
    : config_(config),
      store_({.folder = config.layers_folder,
              .format = config.layer_weights,
              .max_bytes = config.max_layer_bytes}) {
  if (config.layer_loading) {
    loading_ = std::make_unique<BackgroundThread>(kMaxWaitingLoads);
  }
}

void LayerHost::Open(const Doorkeeper& doorkeeper,
                     const AttendContext& attend) {
  context_.emplace(LayerContext{
      .attend = attend, .layers = store_, .loading = loading_.get()});
  service_.emplace(Gate<LayerContext>(doorkeeper, *context_));
}

absl::Status LayerHost::LoadAtStart(const std::function<bool()>& is_wanted) {
  if (config_.layers_folder.empty()) return absl::OkStatus();
  const absl::Status loaded =
      LoadLayers(store_, config_.load_layers, is_wanted, context_->attend.log,
                 context_->attend.clock);
  if (!loaded.ok()) {
    return absl::Status(loaded.code(),
                        absl::StrCat("layers: ", loaded.message()));
  }
  if (config_.load_layers == "all" && store_.List("", 1).empty()) {
    context_->attend.log.Warning("there are no layers",
                                 {{"folder", config_.layers_folder}});
  }
  return absl::OkStatus();
}

LayerTotals LayerHost::Totals() const {
  LayerTotals totals{.bytes = store_.bytes()};
  for (const AttentionLayerPtr& layer :
       store_.List("", std::numeric_limits<int64_t>::max())) {
    totals.names.push_back(layer->name);
  }
  return totals;
}

}  // namespace attn
