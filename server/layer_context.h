// What the methods of LayerService work with.
#pragma once

#include "absl/status/status.h"
#include "core/layer/layer_store.h"
#include "server/background_thread.h"
#include "server/request_flow.h"

namespace attn {

// Borrowed; all must outlive the calls.
struct LayerContext {
  const AttendContext& attend;
  LayerStore& layers;
  // Where layers are loaded. Null: clients may load and unload none.
  BackgroundThread* loading = nullptr;
};

// PERMISSION_DENIED where clients may not load and unload; UNAVAILABLE /
// DRAINING once the drain began.
absl::Status CheckLoading(const LayerContext& context);

}  // namespace attn
