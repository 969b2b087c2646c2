#include "server/layer_context.h"

#include "core/base/status_macros.h"

namespace attn {

absl::Status CheckLoading(const LayerContext& context) {
  if (context.loading == nullptr) {
    return absl::PermissionDeniedError(
        "layers are loaded and unloaded only with --layer-loading");
  }
  return context.attend.engine.CheckServing();
}

}  // namespace attn
