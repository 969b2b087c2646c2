// JSON from outside: headers of files, configurations of models.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace attn {

struct JsonBounds {
  // Objects and lists within each other; {"a": []} is 2 deep. What is deeper is
  // refused: a value is destroyed by recursion.
  int max_depth = 0;
  // Refuse an object that has a name twice; the last one counts otherwise.
  bool has_names_once = false;
};

struct BoundedJson {
  // Discarded (is_discarded()) where the text is no JSON or not within bounds.
  nlohmann::json value = nlohmann::json::value_t::discarded;
  // The name that is why.
  std::optional<std::string> twice = {};
};

// Takes time in proportion to the text.
BoundedJson ParseBoundedJson(std::string_view text, const JsonBounds& bounds);

}  // namespace attn
