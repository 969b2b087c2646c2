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

// Names and their values, which are JSON already.
using JsonEntries = std::vector<std::pair<std::string, std::string>>;

// {"name": value, ...}, one entry a line.
std::string JsonObject(const JsonEntries& entries);

// The same on one line, without a newline.
std::string JsonLine(const JsonEntries& entries);

}  // namespace attn::attnctl
