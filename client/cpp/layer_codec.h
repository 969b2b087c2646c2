// Between the structs of layer.h and the messages of attn.v1, as
// request_codec.h has it for attention; response_codec.h has the answers.
// Internal to the client. Pure functions: thread-safe.
#pragma once

#include "absl/types/span.h"
#include "attn/v1/layer.pb.h"
#include "client/cpp/layer.h"
#include "client/cpp/wire_message.h"

namespace attn::client {

// attn.v1.ForwardRequest.
WireMessage EncodeRequest(const ForwardRequest& request);

// attn.v1.ForwardBatchRequest with `requests` in order.
WireMessage EncodeBatch(absl::Span<const ForwardRequest> requests);

// These empty `message`.
Layer DecodeLayer(attn::v1::Layer& message);
LayerPage DecodeLayerPage(attn::v1::ListLayersResponse& message);

// Whether sending it twice has the effect of sending it once: false for a
// session without expected_length.
bool IsIdempotent(const ForwardRequest& request);

}  // namespace attn::client
