// The calls that send requests of attention or of layers, one or a batch.
// Internal to the client. Pure functions: thread-safe.
#pragma once

#include <algorithm>
#include <utility>

#include "absl/types/span.h"
#include "client/cpp/unary_call.h"

namespace attn::client {

// Repeated only where that is harmless; a session is what a proxy routes by.
// The Request's codec has EncodeRequest and IsIdempotent.
template <typename Request>
EncodedCall RequestCall(const char* method, const Request& request,
                        CallSettings settings) {
  settings.may_retry = IsIdempotent(request);
  if (request.session.has_value()) {
    AddSessionKey(request.session->session_id, settings);
  }
  return {method, EncodeRequest(request), std::move(settings)};
}

// The same for a batch, which may be of several sessions.
template <typename Request>
EncodedCall BatchCall(const char* method, absl::Span<const Request> requests,
                      CallSettings settings) {
  settings.may_retry =
      std::all_of(requests.begin(), requests.end(),
                  [](const Request& request) { return IsIdempotent(request); });
  return {method, EncodeBatch(requests), std::move(settings)};
}

}  // namespace attn::client
