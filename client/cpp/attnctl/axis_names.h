// Names of query rows and keys, for the views of weights: tokens where there
// are some, numbers otherwise. Pure functions: thread-safe.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace attn::attnctl {

// What the user calls the tokens; empty: not given.
struct AxisTokens {
  std::vector<std::string> keys = {};     // One for each key.
  std::vector<std::string> queries = {};  // One for each row.
};

struct AxisNames {
  std::vector<std::string> rows;
  std::vector<std::string> keys;
};

// Names for `rows` rows and `keys` keys. Without tokens for the queries the
// last `rows` tokens of the keys name them, as in self-attention; an axis
// without any is "q0", "q1" or "k0", "k1" and so on. Errors: INVALID_ARGUMENT
// for another number of tokens, or more rows than key tokens to name them.
absl::StatusOr<AxisNames> NameAxes(const AxisTokens& tokens, size_t rows,
                                   size_t keys);

// The place of `name` among `names`: a name's first place, else a number.
// Errors: INVALID_ARGUMENT that begins with `axis`.
absl::StatusOr<size_t> FindName(const std::string& axis,
                                const std::string& name,
                                const std::vector<std::string>& names);

// One token a line; a last line without a newline counts. Errors: NOT_FOUND,
// INVALID_ARGUMENT for a file without a token.
absl::StatusOr<std::vector<std::string>> ReadTokens(const std::string& path);

}  // namespace attn::attnctl
