// Outcomes as ModelInferResponse and ModelStreamInferResponse. Outputs are
// always raw, one entry each in the order of `outputs` (clients index them
// blindly), and borrowed from the task.
#pragma once

#include "server/inference/infer_request.h"
#include "server/wire_codec.h"

namespace attn {

// A ModelInferResponse. REQUIRES: outcome.status is OK, and the request of the
// task asked for options.outputs.
Reply EncodeInferResponse(const AttendOutcome& outcome,
                          const InferReplyOptions& options);

// A ModelStreamInferResponse around that.
Reply EncodeStreamInferResponse(Reply infer_response);

// One of a request that failed: error_message, and the id alone.
Reply EncodeStreamInferError(const AttendOutcome& outcome);

}  // namespace attn
