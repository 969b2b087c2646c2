#include "client/cpp/unary_call.h"

#include "absl/time/clock.h"
#include "client/cpp/session_codec.h"

namespace attn::client {

EncodedCall SmallCall(const char* method,
                      const google::protobuf::MessageLite& message,
                      CallSettings settings) {
  WireMessage request;
  request.Append(message.SerializeAsString());
  return {method, std::move(request), std::move(settings)};
}

CallSettings Resolve(const CallOptions& options,
                     absl::Duration default_deadline) {
  CallSettings settings;
  const absl::Duration deadline = options.deadline > absl::ZeroDuration()
                                      ? options.deadline
                                      : default_deadline;
  settings.deadline = absl::Now() + deadline;
  settings.wait_for_ready = options.wait_for_ready;
  settings.metadata = options.metadata;
  settings.trailing_metadata = options.trailing_metadata;
  return settings;
}

void AddSessionKey(const std::string& session_id, CallSettings& settings) {
  if (IsSessionId(session_id)) {
    settings.metadata.emplace_back("attn-session-id", session_id);
  }
}

}  // namespace attn::client
