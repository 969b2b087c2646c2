// Asks an HTTP endpoint of ours how it is, as a probe does.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "core/base/clock.h"

namespace attn {

// The HTTP status of a path at HOST:PORT. UNAVAILABLE, with the reason, if
// nobody answers in time.
absl::StatusOr<int> ProbeHttp(const std::string& address,
                              const std::string& path, Duration timeout);

}  // namespace attn
