// JSON of files from outside: parsed with a bound on its depth, and shown as
// error messages may repeat it.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace attn {

// INVALID_ARGUMENT for a text that is no JSON object, and for one deeper than
// any file of a model has.
absl::StatusOr<nlohmann::json> ParseJsonObject(std::string_view text);

// At most 80 characters of it, printable ASCII.
std::string ShownJson(const nlohmann::json& value);

}  // namespace attn
