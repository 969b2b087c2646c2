#include "client/cpp/attnctl/axis_names.h"

#include <algorithm>
#include <fstream>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace attn::attnctl {

namespace {

absl::Status CheckCount(const char* field, const char* noun, size_t tokens,
                        size_t expected) {
  if (tokens == 0 || tokens == expected) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat(field, ": there must be one for each of the ", expected, " ",
                   noun, "; got ", tokens));
}

// `tokens` where there are any, else "q0", "q1", ... with `letter` q.
std::vector<std::string> NamesOr(const char* letter, size_t count,
                                 const std::vector<std::string>& tokens) {
  std::vector<std::string> names = tokens;
  for (size_t i = names.size(); i < count; ++i) {
    names.push_back(absl::StrCat(letter, i));
  }
  return names;
}

}  // namespace

absl::StatusOr<AxisNames> NameAxes(const AxisTokens& tokens, size_t rows,
                                   size_t keys) {
  absl::Status status = CheckCount("tokens", "keys", tokens.keys.size(), keys);
  status.Update(
      CheckCount("query-tokens", "rows", tokens.queries.size(), rows));
  const bool keys_name_rows = tokens.queries.empty() && !tokens.keys.empty();
  if (keys_name_rows && rows > keys) {
    status.Update(absl::InvalidArgumentError(absl::StrCat(
        "tokens: the last of them name the ", rows,
        " rows, so that there must be as many, or query-tokens; got ",
        tokens.keys.size())));
  }
  if (!status.ok()) {
    return status;
  }
  AxisNames names{NamesOr("q", rows, tokens.queries),
                  NamesOr("k", keys, tokens.keys)};
  if (keys_name_rows) {
    names.rows.assign(names.keys.end() - static_cast<ptrdiff_t>(rows),
                      names.keys.end());
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
  if (tokens.empty()) {
    return absl::InvalidArgumentError(path + ": holds no token");
  }
  return tokens;
}

}  // namespace attn::attnctl
