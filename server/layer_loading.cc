#include "server/layer_loading.h"

#include <chrono>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "core/base/status_macros.h"
#include "server/absl_view.h"

namespace attn {
namespace {

absl::StatusOr<std::vector<std::string>> NamedLayers(const LayerStore& layers,
                                                     std::string_view names) {
  if (names == "none") return std::vector<std::string>();
  if (names == "all") return layers.Published();
  return std::vector<std::string>(absl::StrSplit(AbslView(names), ','));
}

}  // namespace

absl::StatusOr<AttentionLayerPtr> LoadLayer(LayerStore& layers,
                                            std::string_view name,
                                            WeightFormat format, const Log& log,
                                            const Clock& clock) {
  const TimePoint start = clock.Now();
  ATTN_ASSIGN_OR_RETURN(AttentionLayerPtr layer, layers.Load(name, format));
  const auto time = std::chrono::duration_cast<std::chrono::milliseconds>(
      clock.Now() - start);
  log.Info("layer loaded", {{"layer", name},
                            {"bytes", layer->weight_bytes()},
                            {"ms", time.count()}});
  return layer;
}

absl::Status LoadLayers(LayerStore& layers, std::string_view names,
                        const std::function<bool()>& is_wanted, const Log& log,
                        const Clock& clock) {
  ATTN_ASSIGN_OR_RETURN(const std::vector<std::string> wanted,
                        NamedLayers(layers, names));
  for (const std::string& name : wanted) {
    if (!is_wanted()) return absl::CancelledError("not wanted any more");
    const absl::Status loaded =
        LoadLayer(layers, name, WeightFormat::kUnspecified, log, clock)
            .status();
    if (loaded.ok()) continue;
    return absl::Status(loaded.code(),
                        absl::StrCat("layer ", name, ": ", loaded.message()));
  }
  return absl::OkStatus();
}

}  // namespace attn
