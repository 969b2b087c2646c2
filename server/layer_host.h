// Everything about layers that a server has: the store, the thread that loads
// on clients' behalf, and LayerService on top.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "server/access/doorkeeper.h"
#include "server/background_thread.h"
#include "server/config.h"
#include "server/layer_context.h"
#include "server/layer_service.h"

namespace attn {

// Thread-safe once open.
class LayerHost {
 public:
  explicit LayerHost(const ServerConfig& config);

  // Makes the service. Borrows both, which must outlive the calls.
  void Open(const Doorkeeper& doorkeeper, const AttendContext& attend);
  // Loads what the settings name, with a line in the log for each. Errors: the
  // first layer's that cannot be loaded; as LoadLayers. REQUIRES: it is open.
  absl::Status LoadAtStart(const std::function<bool()>& is_wanted);

  LayerStore& store() { return store_; }
  LayerService& service() { return *service_; }
  // What there is now.
  LayerTotals Totals() const;

 private:
  const ServerConfig config_;
  LayerStore store_;
  std::unique_ptr<BackgroundThread> loading_;  // Null: without --layer-loading.
  std::optional<LayerContext> context_;
  std::optional<LayerService> service_;
};

}  // namespace attn
