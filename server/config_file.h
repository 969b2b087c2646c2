// The config file: one `key = value` a line, where the keys are the flags
// without their dashes. Blank lines and lines that start with # are skipped; a
// value may stand in double quotes. This is a subset of INI and TOML, read by
// hand because CLI11's own reader silently skips what it does not understand.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace attn {

struct ConfigEntry {
  std::string key{};
  std::string value{};
  int line = 0;  // Counted from 1.
};

// The entries in the file's order. INVALID_ARGUMENT that names the line for
// anything that is not an entry, and for a key that is given twice.
absl::StatusOr<std::vector<ConfigEntry>> ParseConfigText(std::string_view text);

// Likewise, from a file; NOT_FOUND if it cannot be read. Errors name the file.
absl::StatusOr<std::vector<ConfigEntry>> ReadConfigFile(
    const std::string& path);

}  // namespace attn
