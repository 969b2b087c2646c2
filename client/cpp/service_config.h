// gRPC's service config (JSON) for a retry policy. Internal to the client.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "client/cpp/options.h"

namespace attn::client {

// "" where the policy asks for no retries. Errors: INVALID_ARGUMENT for a
// policy that gRPC would refuse (attempts outside 1..5, waits or a multiplier
// that are not positive).
absl::StatusOr<std::string> RetryServiceConfig(const RetryPolicy& policy);

}  // namespace attn::client
