#include "server/config_file.h"

#include <algorithm>
#include <fstream>
#include <sstream>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "core/base/status_macros.h"
#include "server/absl_view.h"

namespace attn {
namespace {

// Far beyond any real file; a wrong path (a tensor, /dev/zero) ends here.
constexpr std::streamsize kMaxFileBytes = 1 << 20;

absl::Status AtLine(int line, absl::string_view message) {
  return absl::InvalidArgumentError(absl::StrCat("line ", line, ": ", message));
}

absl::StatusOr<std::string> Unquote(absl::string_view value, int line) {
  const bool opens = !value.empty() && value.front() == '"';
  if (!opens) return std::string(value);
  if (value.size() < 2 || value.back() != '"') {
    return AtLine(line, "must close the quote; got " + std::string(value));
  }
  return std::string(value.substr(1, value.size() - 2));
}

absl::StatusOr<ConfigEntry> ParseLine(absl::string_view text, int line) {
  const size_t equals = text.find('=');
  if (equals == absl::string_view::npos) {
    return AtLine(line, absl::StrCat("must be key = value; got ", text));
  }
  ConfigEntry entry{.line = line};
  entry.key = std::string(absl::StripAsciiWhitespace(text.substr(0, equals)));
  ATTN_ASSIGN_OR_RETURN(
      entry.value,
      Unquote(absl::StripAsciiWhitespace(text.substr(equals + 1)), line));
  return entry;
}

}  // namespace

absl::StatusOr<std::vector<ConfigEntry>> ParseConfigText(
    std::string_view text) {
  std::vector<ConfigEntry> entries;
  int line = 0;
  for (absl::string_view raw : absl::StrSplit(AbslView(text), '\n')) {
    ++line;
    const absl::string_view trimmed = absl::StripAsciiWhitespace(raw);
    if (trimmed.empty() || trimmed.front() == '#') continue;
    ATTN_ASSIGN_OR_RETURN(ConfigEntry entry, ParseLine(trimmed, line));
    const auto same_key = [&entry](const ConfigEntry& other) {
      return other.key == entry.key;
    };
    const auto first = std::ranges::find_if(entries, same_key);
    if (first != entries.end()) {
      return AtLine(line, absl::StrCat(entry.key, " must be given once; line ",
                                       first->line, " has it too"));
    }
    entries.push_back(std::move(entry));
  }
  return entries;
}

absl::StatusOr<std::vector<ConfigEntry>> ReadConfigFile(
    const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text(kMaxFileBytes + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad() || (file.fail() && !file.eof())) {
    return absl::NotFoundError(
        absl::StrCat("config file ", path, " cannot be read"));
  }
  if (file.gcount() > kMaxFileBytes) {
    return absl::InvalidArgumentError(absl::StrCat(
        "config file ", path, " must be at most ", kMaxFileBytes, " bytes"));
  }
  text.resize(static_cast<size_t>(file.gcount()));
  auto entries = ParseConfigText(text);
  if (entries.ok()) return entries;
  return absl::InvalidArgumentError(
      absl::StrCat("config file ", path, " ", entries.status().message()));
}

}  // namespace attn
