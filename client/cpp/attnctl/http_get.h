// One HTTP/1.1 GET over a plain socket: enough for /metrics.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace attn::attnctl {

// The body of `path` at "host:port". Errors: INVALID_ARGUMENT for an address
// without a port, UNAVAILABLE for no connection or an answer cut short,
// DEADLINE_EXCEEDED for a silence longer than `timeout`, INTERNAL for a status
// other than 200.
absl::StatusOr<std::string> HttpGet(const std::string& address,
                                    const std::string& path,
                                    absl::Duration timeout);

// The body of a whole response as received until the end of the connection;
// Content-Length and chunked bodies. Errors: UNAVAILABLE and INTERNAL as above.
absl::StatusOr<std::string> ParseHttpResponse(std::string_view response);

}  // namespace attn::attnctl
