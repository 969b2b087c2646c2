#include "core/layer/layer_name.h"

#include <algorithm>
#include <charconv>
#include <tuple>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "core/base/error.h"

namespace attn {
namespace {

constexpr size_t kMaxModelName = 128;
// 2^20 is more layers than a config.json may have.
constexpr size_t kMaxIndexDigits = 7;

bool IsIndex(std::string_view text) {
  return !text.empty() && text.size() <= kMaxIndexDigits &&
         std::all_of(text.begin(), text.end(), absl::ascii_isdigit) &&
         (text.size() == 1 || text[0] != '0');
}

// "model", "index"; without a slash all is the model.
std::pair<std::string_view, std::string_view> Split(std::string_view name) {
  const size_t slash = name.rfind('/');
  if (slash == std::string_view::npos) return {name, {}};
  return {name.substr(0, slash), name.substr(slash + 1)};
}

}  // namespace

bool IsModelName(std::string_view name) {
  const auto is_allowed = [](unsigned char c) {
    return absl::ascii_isalnum(c) || c == '_' || c == '.' || c == '-';
  };
  return !name.empty() && name.size() <= kMaxModelName && name != "." &&
         name != ".." && std::all_of(name.begin(), name.end(), is_allowed);
}

absl::StatusOr<LayerName> ParseLayerName(std::string_view name) {
  const auto [model, digits] = Split(name);
  if (!IsModelName(model) || !IsIndex(digits)) {
    const std::string_view shown = name.substr(0, kMaxModelName);
    return InvalidOption(
        "name", "must be <model>/<index>, a folder and a number from 0",
        absl::CEscape({shown.data(), shown.size()}));
  }
  LayerName parsed{.model = std::string(model)};
  std::from_chars(digits.data(), digits.data() + digits.size(), parsed.index);
  return parsed;
}

bool LayerNameLess::operator()(std::string_view a, std::string_view b) const {
  const auto [model_a, index_a] = Split(a);
  const auto [model_b, index_b] = Split(b);
  // Numbers without zeros in front: the longer one is the larger.
  return std::tuple(model_a, index_a.size(), index_a) <
         std::tuple(model_b, index_b.size(), index_b);
}

}  // namespace attn
