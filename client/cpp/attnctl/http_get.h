// One HTTP/1.1 GET over a plain socket: enough for /metrics.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace attn::attnctl {

// The body of `path` at "host:port"; a token that is not empty goes as
// "Authorization: Bearer". Errors: INVALID_ARGUMENT for an address
// without a port, UNAVAILABLE for no connection or an answer cut short,
// DEADLINE_EXCEEDED for a silence longer than `timeout`, UNAUTHENTICATED and
// PERMISSION_DENIED for 401 and 403, INTERNAL for another status than 200.
absl::StatusOr<std::string> HttpGet(const std::string& address,
                                    const std::string& path,
                                    absl::Duration timeout,
                                    const std::string& token = "");

// The body of a whole response as received until the end of the connection;
// Content-Length and chunked bodies. Errors: UNAVAILABLE and INTERNAL as above.
absl::StatusOr<std::string> ParseHttpResponse(std::string_view response);

}  // namespace attn::attnctl
