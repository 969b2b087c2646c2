// From the structs of request.h to the messages of attn.v1: a WireMessage that
// refers to the tensors' bytes. response_codec.h has the way back. Internal to
// the client. Pure functions: thread-safe.
#pragma once

#include "absl/types/span.h"
#include "client/cpp/request.h"
#include "client/cpp/wire_message.h"

namespace attn::client {

// attn.v1.AttendRequest.
WireMessage EncodeRequest(const AttendRequest& request);

// attn.v1.AttendBatchRequest with `requests` in order.
WireMessage EncodeBatch(absl::Span<const AttendRequest> requests);

// Whether sending it twice has the effect of sending it once: false for an
// append to a session without expected_length.
bool IsIdempotent(const AttendRequest& request);

}  // namespace attn::client
