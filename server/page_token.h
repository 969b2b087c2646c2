// Tokens of ListSessions and ListLayers, as AIP-158 has them: where the next
// page begins, opaque to clients, and refused when made up.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace attn {

// The token of the page after `last_id`.
std::string MakePageToken(const std::string& last_id);

// The id after which the page begins; "" for the first page. INVALID_ARGUMENT
// for what MakePageToken does not make.
absl::StatusOr<std::string> ParsePageToken(const std::string& token);

// A page holds at most 1000 entries; 0 stands for 100.
int64_t PageSize(uint32_t wanted);

}  // namespace attn
