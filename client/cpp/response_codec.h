// The answer of an attention or of a layer, whose messages have the same
// fields. Internal to the client. A pure function: thread-safe.
#pragma once

#include <utility>

#include "client/cpp/error_details.h"
#include "client/cpp/field_codec.h"
#include "client/cpp/request.h"

namespace attn::client {

// Empties `message`, an attn.v1.AttendResponse or ForwardResponse.
template <typename Message>
AttendResponse TakeResponse(Message& message) {
  AttendResponse response;
  response.request_id = std::move(*message.mutable_request_id());
  if (message.has_output() && !message.output().has_shared()) {
    response.output = TakeTensor(*message.mutable_output());
  }
  if (message.has_lse()) {
    response.lse = TakeTensor(*message.mutable_lse());
  }
  if (message.has_weights()) {
    response.weights = TakeTensor(*message.mutable_weights());
  }
  if (message.has_top()) {
    auto& top = *message.mutable_top();
    response.top.indices = TakeTensor(*top.mutable_indices());
    response.top.probabilities = TakeTensor(*top.mutable_probabilities());
  }
  response.session_length = message.session_length();
  response.timing = DecodeTiming(message.timing());
  return response;
}

// The same for an attn.v1.AttendResult or ForwardResult.
template <typename Message>
AttendResult TakeResult(Message& message) {
  AttendResult result;
  result.status =
      MakeStatus(message.status().code(), message.status().message(), "");
  result.response = TakeResponse(*message.mutable_response());
  return result;
}

}  // namespace attn::client
