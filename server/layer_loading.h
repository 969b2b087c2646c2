// Layers into the store, with a line in the log for each: at the start those
// that --load-layers names, later those that clients load.
#pragma once

#include <functional>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/clock.h"
#include "core/layer/layer_store.h"
#include "server/log.h"

namespace attn {

// LayerStore::Load, timed and logged.
absl::StatusOr<AttentionLayerPtr> LoadLayer(LayerStore& layers,
                                            std::string_view name,
                                            WeightFormat format, const Log& log,
                                            const Clock& clock);

// `names`: as --load-layers has them. Errors: the first layer's that cannot be
// loaded, with its name; CANCELLED once `is_wanted` says no, which is asked
// before each.
absl::Status LoadLayers(LayerStore& layers, std::string_view names,
                        const std::function<bool()>& is_wanted, const Log& log,
                        const Clock& clock);

}  // namespace attn
