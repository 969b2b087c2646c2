// A small text file as a string.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace attn {

// Errors, with the path: NOT_FOUND and the like of opening and reading it,
// INVALID_ARGUMENT beyond `max_bytes`.
absl::StatusOr<std::string> ReadSmallFile(const std::string& path,
                                          int64_t max_bytes);

}  // namespace attn
