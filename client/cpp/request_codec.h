// Between the structs of request.h and the messages of attn.v1. Requests become
// a WireMessage that refers to the tensors' bytes; replies are taken apart by
// moving, so that a received tensor is never copied. Internal to the client.
// Pure functions: thread-safe.
#pragma once

#include <vector>

#include "absl/types/span.h"
#include "attn/v1/attention.pb.h"
#include "client/cpp/request.h"
#include "client/cpp/wire_message.h"

namespace attn::client {

// attn.v1.AttendRequest.
WireMessage EncodeRequest(const AttendRequest& request);

// attn.v1.AttendBatchRequest with `requests` in order.
WireMessage EncodeBatch(absl::Span<const AttendRequest> requests);

// Empties `message`.
AttendResponse DecodeResponse(attn::v1::AttendResponse& message);
AttendResult DecodeResult(attn::v1::AttendResult& message);

// Whether sending it twice has the effect of sending it once: false for an
// append to a session without expected_length.
bool IsIdempotent(const AttendRequest& request);

}  // namespace attn::client
