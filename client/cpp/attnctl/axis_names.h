// Names of query rows and keys, for the views of weights: tokens where there
// are some, numbers otherwise. Pure functions: thread-safe.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace attn::attnctl {

struct AxisNames {
  std::vector<std::string> rows;
  std::vector<std::string> keys;
};

// Names for `rows` rows and `keys` keys. With `tokens`, one for each key, the
// last `rows` of them name the rows; without, they are "q0", "k0" and so on.
// Errors: INVALID_ARGUMENT for another number of tokens, or more rows than
// tokens.
absl::StatusOr<AxisNames> NameAxes(const std::vector<std::string>& tokens,
                                   size_t rows, size_t keys);

// The place of `name` among `names`: a name's first place, else a number.
// Errors: INVALID_ARGUMENT that begins with `axis`.
absl::StatusOr<size_t> FindName(const std::string& axis,
                                const std::string& name,
                                const std::vector<std::string>& names);

// One token a line; a last line without a newline counts. Errors: NOT_FOUND.
absl::StatusOr<std::vector<std::string>> ReadTokens(const std::string& path);

}  // namespace attn::attnctl
