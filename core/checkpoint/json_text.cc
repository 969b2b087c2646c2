#include "core/checkpoint/json_text.h"

#include "core/base/bounded_json.h"

namespace attn {

using Json = nlohmann::json;

absl::StatusOr<Json> ParseJsonObject(std::string_view text) {
  constexpr int kMaxDepth = 16;  // Beyond any.
  Json json = ParseBoundedJson(text, {.max_depth = kMaxDepth}).value;
  if (!json.is_object()) {
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
