// What the server keeps of a bearer token: its SHA-256 digest. A token itself
// is never stored, compared or written anywhere.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace attn {

using TokenDigest = std::array<uint8_t, 32>;

TokenDigest DigestOf(std::string_view token);

// The digest of 64 hexadecimal digits; none for another text.
std::optional<TokenDigest> ParseDigest(std::string_view hex);

// In a time that does not depend on where they differ.
bool AreEqual(const TokenDigest& a, const TokenDigest& b);

}  // namespace attn
