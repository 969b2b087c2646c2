// "<model>/<index>": how a layer is called on the wire and in the store.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace attn {

struct LayerName {
  std::string model;
  int64_t index = 0;
};

// Whether a folder's name may be a model's: 1 to 128 of A-Z a-z 0-9 _ . -, and
// neither "." nor "..".
bool IsModelName(std::string_view name);

// INVALID_ARGUMENT, field "name". One layer has one name: no sign, no zeros in
// front.
absl::StatusOr<LayerName> ParseLayerName(std::string_view name);

// By model, then by index. Any strings have an order.
struct LayerNameLess {
  using is_transparent = void;  // NOLINT(readability-identifier-naming): std's.
  bool operator()(std::string_view a, std::string_view b) const;
};

}  // namespace attn
