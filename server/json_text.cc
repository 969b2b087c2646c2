#include "server/json_text.h"

#include <cstdint>

#include "absl/strings/str_format.h"

namespace attn {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

bool IsContinuation(char byte) {
  return (static_cast<uint8_t>(byte) & 0xC0) == 0x80;
}

// Second bytes that would make an overlong form, a surrogate or a number above
// U+10FFFF (RFC 3629, section 4).
bool IsSecondByteAllowed(uint8_t first, uint8_t second) {
  if (first == 0xE0) return second >= 0xA0;
  if (first == 0xED) return second < 0xA0;
  if (first == 0xF0) return second >= 0x90;
  if (first == 0xF4) return second < 0x90;
  return true;
}

// Length of the valid UTF-8 sequence at the front of `text`; 0 if there is
// none.
size_t SequenceLength(std::string_view text) {
  const auto first = static_cast<uint8_t>(text.front());
  if (first < 0x80) return 1;
  if (first < 0xC2 || first > 0xF4) return 0;
  const size_t length = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
  if (text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if (!IsContinuation(text[i])) return 0;
  }
  return IsSecondByteAllowed(first, static_cast<uint8_t>(text[1])) ? length : 0;
}

void AppendEscaped(char character, std::string& out) {
  switch (character) {
    case '"':
      out += "\\\"";
      return;
    case '\\':
      out += "\\\\";
      return;
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\t':
      out += "\\t";
      return;
    default:
      break;
  }
  const auto code = static_cast<uint8_t>(character);
  if (code < 0x20 || code == 0x7F) {
    absl::StrAppendFormat(&out, "\\u%04x", static_cast<unsigned>(code));
  } else {
    out += character;
  }
}

}  // namespace

std::string JsonString(std::string_view text) {
  std::string out = "\"";
  while (!text.empty()) {
    const size_t length = SequenceLength(text);
    if (length == 0) out += kReplacement;
    if (length == 1) AppendEscaped(text.front(), out);
    if (length > 1) out += text.substr(0, length);
    text.remove_prefix(length == 0 ? 1 : length);
  }
  out += '"';
  return out;
}

}  // namespace attn
