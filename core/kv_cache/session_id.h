// Names of sessions: [A-Za-z0-9_-]{1,64}, so that a proxy can hash them. Those
// that the server makes are "<8 hex digits of the boot>-<32 hex digits>": a
// process that meets one of another boot knows why it does not know it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace attn {

bool IsSessionId(std::string_view id);

// INVALID_ARGUMENT / INVALID_OPTION for "session_id".
absl::Status CheckSessionId(std::string_view id);

// 8 hex digits.
std::string MakeBootId(uint64_t random_bits);

// `random` gives 64 random bits a call.
std::string MakeSessionId(std::string_view boot_id,
                          const std::function<uint64_t()>& random);

// Whether a server made the id, in another life.
bool IsOfAnotherBoot(std::string_view id, std::string_view boot_id);

}  // namespace attn
