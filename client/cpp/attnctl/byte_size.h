// Sizes as people write them, "16GiB", and as attnctl shows them, "1.5 GiB".
// Pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace attn::attnctl {

inline constexpr int64_t kMebibyte = int64_t{1} << 20;
inline constexpr int64_t kGibibyte = int64_t{1} << 30;

// Bytes, bare or with KiB, MiB, GiB or TiB. Errors: INVALID_ARGUMENT for other
// texts, nothing, and what is beyond 2^63 - 1.
absl::StatusOr<int64_t> ParseByteSize(std::string_view text);

// "1.5 GiB", in four digits.
std::string BytesText(double bytes);

// What the server's flags take, in full: "13GiB", "1500MiB". REQUIRES: a
// multiple of 1 MiB.
std::string SizeFlagText(int64_t bytes);

}  // namespace attn::attnctl
