// An error with words put before its own: which of several servers it is of.
// Internal to the client. Pure functions: thread-safe.
#pragma once

#include <string_view>

#include "absl/status/status.h"

namespace attn::client {

// `status` with "`prefix`: " before its message, and its details (reason, field
// violations, ...) as they are. OK stays OK.
absl::Status Prefixed(std::string_view prefix, const absl::Status& status);

}  // namespace attn::client
