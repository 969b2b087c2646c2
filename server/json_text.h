// JSON strings for log lines and the status page.
#pragma once

#include <string>
#include <string_view>

namespace attn {

// `text` in double quotes, escaped as RFC 8259 asks. Bytes that are not UTF-8
// become U+FFFD, so that the result is always valid JSON.
std::string JsonString(std::string_view text);

}  // namespace attn
