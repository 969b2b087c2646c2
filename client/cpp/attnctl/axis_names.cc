#include "client/cpp/attnctl/axis_names.h"

#include <algorithm>
#include <fstream>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace attn::attnctl {

absl::StatusOr<AxisNames> NameAxes(const std::vector<std::string>& tokens,
                                   size_t rows, size_t keys) {
  if (!tokens.empty() && tokens.size() != keys) {
    return absl::InvalidArgumentError(
        absl::StrCat("tokens: there must be one for each of the ", keys,
                     " keys; got ", tokens.size()));
  }
  if (!tokens.empty() && rows > keys) {
    return absl::InvalidArgumentError(
        absl::StrCat("tokens: there must be one for each of the ", rows,
                     " rows; got ", tokens.size()));
  }
  AxisNames names;
  for (size_t j = 0; j < keys; ++j) {
    names.keys.push_back(tokens.empty() ? absl::StrCat("k", j) : tokens[j]);
  }
  for (size_t i = 0; i < rows; ++i) {
    names.rows.push_back(tokens.empty() ? absl::StrCat("q", i)
                                        : tokens[keys - rows + i]);
  }
  return names;
}

absl::StatusOr<size_t> FindName(const std::string& axis,
                                const std::string& name,
                                const std::vector<std::string>& names) {
  const auto found = std::find(names.begin(), names.end(), name);
  if (found != names.end()) {
    return static_cast<size_t>(found - names.begin());
  }
  size_t number = 0;
  if (absl::SimpleAtoi(name, &number) && number < names.size()) {
    return number;
  }
  return absl::InvalidArgumentError(
      absl::StrCat(axis, ": must be a token or a number below ", names.size(),
                   "; got \"", name, "\""));
}

absl::StatusOr<std::vector<std::string>> ReadTokens(const std::string& path) {
  std::ifstream file(path);
  if (!file) {
    return absl::NotFoundError(path + ": cannot be read");
  }
  std::vector<std::string> tokens;
  for (std::string line; std::getline(file, line);) {
    if (!line.empty() && line.back() == '\r') {
      line.pop_back();
    }
    tokens.push_back(std::move(line));
  }
  return tokens;
}

}  // namespace attn::attnctl
