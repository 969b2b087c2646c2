// One ModelInferRequest's way, whichever method it came by: decoded here, then
// that of attend_flow.h or forward_flow.h, the same as a native request's;
// counted and encoded at its end.
// Knows no gRPC.
#pragma once

#include <functional>

#include "core/layer/layer_store.h"
#include "server/forward_lanes.h"
#include "server/inference/infer_response.h"
#include "server/inference/model_description.h"
#include "server/inference/model_statistics.h"
#include "server/request_flow.h"

namespace attn {

// What the protocol's methods need. Borrowed; all must outlive the requests.
struct InferenceContext {
  const AttendContext& attend;
  LayerStore& layers;
  ModelStatistics& statistics;
  // As /readyz says. Thread-safe.
  std::function<bool()> is_ready;
  ModelLimits limits;
};

// Called exactly once, on the threads of AttendDone and ForwardOutcomeDone.
// Must not block.
using InferDone = std::function<void(InferOutcome)>;

// Runs the ModelInferRequest in `message`, which came at `received` and whose
// tensors are copied before this returns. With `lanes` a layer's request is
// submitted by them, in the order of its sequence; null: at once.
void RunInfer(const InferenceContext& context, const FragmentedBytes& message,
              TimePoint received, RequestFlow& flow, InferDone done,
              ForwardLanes* lanes = nullptr);

}  // namespace attn
