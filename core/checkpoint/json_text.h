// JSON of files from outside, as error messages may repeat it.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace attn {

// At most 80 characters of it, printable ASCII.
inline std::string ShownJson(const nlohmann::json& value) {
  constexpr size_t kMaxShown = 80;
  std::string text = value.dump(-1, ' ', /*ensure_ascii=*/true,
                                nlohmann::json::error_handler_t::replace);
  if (text.size() > kMaxShown) text = text.substr(0, kMaxShown) + "...";
  return text;
}

}  // namespace attn
