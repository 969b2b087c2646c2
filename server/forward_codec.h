// ForwardRequests from bytes and ForwardResponses to bytes, as wire_codec.h has
// it for AttendRequests: tensors stay where they lie until the job reads them,
// and are borrowed from it on their way out. Works on bytes alone, without
// gRPC, so that it can be fuzzed.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "core/engine/forward_job.h"
#include "server/reply.h"
#include "server/wire_codec.h"

namespace attn {

// Where the bytes of a request's tensors lie in its message.
struct ForwardPlaces {
  ByteRange hidden;
  ByteRange context;
  ByteRange attn_mask;
};

struct DecodedForward {
  // Not OK: the request is refused. request_id is set as far as it was found.
  absl::Status status;
  std::string request_id;
  std::string layer;
  ForwardSpec spec;
  Priority priority = Priority::kUnspecified;
  // As DecodedRequest's.
  Duration timeout{};
  // A session that it starts has the layer's heads and dims, whatever is here.
  std::optional<SessionTarget> session;
  ForwardPlaces places;
};

// Pass 1 over the ForwardRequest in `range`. Errors: INVALID_ARGUMENT for bytes
// that are none and for fields that the spec cannot hold. Tensors in shared
// memory become a part of the message.
DecodedForward DecodeForward(const RequestBytes& bytes, ByteRange range);

// What became of one request.
struct ForwardOutcome {
  absl::Status status{};
  std::string request_id{};
  // The finished job where status is OK. Shared with the reply's chunks.
  ForwardJobPtr job{};
  // To decode, check and copy the request in.
  Duration receive_time{};
  // Message received to now.
  Duration total_time{};

  // Null where there is no job.
  const TaskTimes* times() const {
    return job == nullptr ? nullptr : &job->times();
  }
};

// A ForwardResponse. REQUIRES: outcome.status is OK.
Reply EncodeResponse(const ForwardOutcome& outcome);

// A ForwardResult: status, and the response or on failure the request_id alone.
Reply EncodeResult(const ForwardOutcome& outcome);

// A ForwardBatchResponse.
Reply EncodeBatchResponse(const std::vector<ForwardOutcome>& outcomes);

}  // namespace attn
