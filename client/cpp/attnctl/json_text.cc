#include "client/cpp/attnctl/json_text.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace attn::attnctl {

std::string JsonString(std::string_view text) {
  std::string quoted = "\"";
  for (const char symbol : text) {
    if (symbol == '"' || symbol == '\\') {
      quoted.push_back('\\');
      quoted.push_back(symbol);
    } else if (static_cast<unsigned char>(symbol) < 0x20) {
      absl::StrAppendFormat(&quoted, "\\u%04x", symbol);
    } else {
      quoted.push_back(symbol);
    }
  }
  return quoted + "\"";
}

std::string JsonNumber(double value) {
  return std::isfinite(value) ? absl::StrFormat("%.17g", value) : "null";
}

std::string JsonLine(const JsonEntries& entries) {
  std::string text = "{";
  for (const auto& [name, value] : entries) {
    absl::StrAppend(&text, text.size() > 1 ? ", " : "", JsonString(name), ": ",
                    value);
  }
  return text + "}";
}

std::string JsonObject(const JsonEntries& entries) {
  std::string text = "{";
  for (const auto& [name, value] : entries) {
    absl::StrAppend(&text, text.size() > 1 ? ",\n  " : "\n  ", JsonString(name),
                    ": ", value);
  }
  return text + "\n}\n";
}

}  // namespace attn::attnctl
