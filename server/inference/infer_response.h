// Outcomes as ModelInferResponse and ModelStreamInferResponse. Outputs are
// always raw, one entry each in the order of `outputs` (clients index them
// blindly), and borrowed from the task.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "server/forward_codec.h"
#include "server/inference/infer_request.h"
#include "server/reply.h"
#include "server/wire_codec.h"

namespace attn {

// A ModelInferResponse. REQUIRES: outcome.status is OK, and the request of the
// task asked for options.outputs.
Reply EncodeInferResponse(const AttendOutcome& outcome,
                          const InferReplyOptions& options);
Reply EncodeInferResponse(const ForwardOutcome& outcome,
                          const InferReplyOptions& options);

// How a request ended, whatever its model.
struct InferOutcome {
  absl::Status status{};
  std::string request_id{};
  // Null where nothing ran; else as long as the callback that gets this.
  const TaskTimes* times = nullptr;
  // A ModelInferResponse where status is OK, else empty.
  Reply response{};
};

// A ModelStreamInferResponse around that.
Reply EncodeStreamInferResponse(Reply infer_response);

// One of a request that failed: error_message, and the id alone.
Reply EncodeStreamInferError(const InferOutcome& outcome);

}  // namespace attn
