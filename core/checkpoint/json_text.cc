#include "core/checkpoint/json_text.h"

namespace attn {

using Json = nlohmann::json;

absl::StatusOr<Json> ParseJsonObject(std::string_view text) {
  // Beyond any, and no danger to a value that is destroyed by recursion.
  constexpr int kMaxDepth = 16;
  bool is_deep = false;
  const auto watch = [&is_deep](int depth, Json::parse_event_t, Json&) {
    is_deep |= depth > kMaxDepth;
    return !is_deep;
  };
  Json json = Json::parse(text.begin(), text.end(), watch,
                          /*allow_exceptions=*/false);
  if (is_deep || json.is_discarded() || !json.is_object()) {
    return absl::InvalidArgumentError(
        "must be a JSON object; got something else");
  }
  return json;
}

std::string ShownJson(const Json& value) {
  constexpr size_t kMaxShown = 80;
  std::string text = value.dump(-1, ' ', /*ensure_ascii=*/true,
                                Json::error_handler_t::replace);
  if (text.size() > kMaxShown) text = text.substr(0, kMaxShown) + "...";
  return text;
}

}  // namespace attn
