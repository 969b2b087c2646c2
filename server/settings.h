// The table of settings: one row for each flag, environment variable and config
// key, which all share a name. The command line, the config file, --help and
// --print-config are driven by it, so that they cannot disagree.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "server/config.h"

namespace attn {

struct Setting {
  std::string_view name;        // "grpc-address": the flag without its dashes.
  std::string_view group;       // Heading in --help.
  std::string_view value_name;  // "ADDRESS": what --help calls the value.
  std::string_view help;        // Effect, unit, meaning of 0; no default.
  bool is_switch = false;       // The bare flag means true.
  // Sets the field, or INVALID_ARGUMENT whose message starts with the rule.
  std::function<absl::Status(std::string_view, ServerConfig&)> parse;
  // The field as text that `parse` reads back.
  std::function<std::string(const ServerConfig&)> format;
};

// In the order of --help; rows of one group stand together.
std::vector<Setting> AllSettings();

// "ATTNSERVE_GRPC_ADDRESS" for "grpc-address".
std::string EnvironmentName(std::string_view setting_name);

}  // namespace attn
