// The little JSON that attnctl writes. Pure functions.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace attn::attnctl {

// `text` with quotes around it and what must be escaped, escaped.
std::string JsonString(std::string_view text);

// A number that JSON can hold: not finite ones become null.
std::string JsonNumber(double value);

// {"name": value, ...}, one entry a line; values are JSON already.
std::string JsonObject(
    const std::vector<std::pair<std::string, std::string>>& entries);

}  // namespace attn::attnctl
