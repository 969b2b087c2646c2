// The answer of an attention or of a layer, whose messages have the same
// fields. Internal to the client. Pure functions: thread-safe.
#pragma once

#include <utility>
#include <vector>

#include "client/cpp/error_details.h"
#include "client/cpp/field_codec.h"
#include "client/cpp/request.h"

namespace attn::client {

// Empties `message`, an attn.v1.AttendResponse or ForwardResponse.
template <typename Message>
AttendResponse DecodeResponse(Message& message) {
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
AttendResult DecodeResult(Message& message) {
  AttendResult result;
  result.status =
      MakeStatus(message.status().code(), message.status().message(), "");
  result.response = DecodeResponse(*message.mutable_response());
  return result;
}

// The same for an attn.v1.AttendBatchResponse or ForwardBatchResponse.
template <typename Message>
std::vector<AttendResult> DecodeResults(Message& message) {
  std::vector<AttendResult> results;
  results.reserve(message.results_size());
  for (auto& result : *message.mutable_results()) {
    results.push_back(DecodeResult(result));
  }
  return results;
}

}  // namespace attn::client
