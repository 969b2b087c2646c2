// Core's errors as gRPC carries them: the same code and message, and in the
// trailer grpc-status-details-bin a google.rpc.Status with ErrorInfo,
// BadRequest and RetryInfo (proto/README.md has the table).
#pragma once

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "grpcpp/support/status.h"

namespace attn {

// Never says more than 1024 characters, so that details stay under 4 KiB: gRPC
// drops trailers beyond 8 KiB. INTERNAL errors lose their text.
grpc::Status ToGrpcStatus(const absl::Status& status);

// The value of the trailer grpc-retry-pushback-ms: milliseconds for errors that
// say when to retry, "-1" (never) for messages that are too large.
std::optional<std::string> RetryPushback(const absl::Status& status);

}  // namespace attn
