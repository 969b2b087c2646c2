// One ModelInferRequest's way, whichever method it came by: decoded here, then
// AttendFlow's, the same as a native request's; counted and encoded at its end.
// Knows no gRPC.
#pragma once

#include <functional>

#include "server/attend_flow.h"
#include "server/inference/infer_request.h"
#include "server/inference/model_description.h"
#include "server/inference/model_statistics.h"

namespace attn {

// What the protocol's methods need. Borrowed; all must outlive the requests.
struct InferenceContext {
  const AttendContext& attend;
  ModelStatistics& statistics;
  // As /readyz says. Thread-safe.
  std::function<bool()> is_ready;
  ModelLimits limits;
};

// `response`: a ModelInferResponse where the outcome is OK, else empty. Called
// exactly once, on the threads of AttendFlow's callback. Must not block.
using InferDone =
    std::function<void(const AttendOutcome& outcome, Reply response)>;

// Runs the ModelInferRequest in `message`, which came at `received` and whose
// tensors are copied before this returns.
void RunInfer(const InferenceContext& context, const FragmentedBytes& message,
              TimePoint received, AttendFlow& flow, InferDone done);

}  // namespace attn
