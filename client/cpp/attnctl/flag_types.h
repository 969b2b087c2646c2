// Flag kinds that CLI11 does not have: names of enum values, durations, lists
// with commas and ranges "a..b". Errors are CLI11's: usage, exit code 2.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "client/cpp/attnctl/length_range.h"

namespace attn::attnctl {

// Adds a flag whose text is one of the keys of `names`. `target` must outlive
// the parse.
template <typename Enum>
CLI::Option* AddEnumFlag(CLI::App& app, const std::string& flag, Enum& target,
                         const std::map<std::string, Enum>& names,
                         const std::string& help) {
  std::vector<std::string> keys;
  keys.reserve(names.size());
  for (const auto& [name, value] : names) {
    keys.push_back(name);
  }
  return app
      .add_option_function<std::string>(
          flag,
          [&target, names](const std::string& text) {
            target = names.at(text);
          },
          help)
      ->check(CLI::IsMember(keys));
}

// "250ms", "10s", "1m30s", "2h"; not negative.
CLI::Option* AddDurationFlag(CLI::App& app, const std::string& flag,
                             absl::Duration& target, const std::string& help);

// "512MiB", "16GiB" (byte_size.h).
CLI::Option* AddByteSizeFlag(CLI::App& app, const std::string& flag,
                             int64_t& target, const std::string& help);

// Numbers separated by commas or given as several words.
template <typename Number>
CLI::Option* AddListFlag(CLI::App& app, const std::string& flag,
                         std::vector<Number>& target, const std::string& help) {
  return app.add_option(flag, target, help)->delimiter(',');
}

// "128" or "16..2048", both ends at least 0 (so that an empty query can be
// asked for) and in order.
CLI::Option* AddLengthRangeFlag(CLI::App& app, const std::string& flag,
                                LengthRange& target, const std::string& help);

}  // namespace attn::attnctl
