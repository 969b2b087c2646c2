// The kinds of settings: each makes a row of settings.cc from its name, its
// field and what its values may be. A value that is refused is told as rule and
// found value; one that is printed reads back.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "server/absl_view.h"
#include "server/settings.h"
#include "server/units.h"

namespace attn {

// Name, heading and help of a row.
struct SettingLabel {
  std::string_view name;
  std::string_view group;
  std::string_view help;
};

// Files and sockets: an absolute path, or "off", which is kept as no path.
Setting PathSetting(const SettingLabel& label,
                    std::string ServerConfig::*field);
Setting AddressSetting(const SettingLabel& label,
                       std::string ServerConfig::*field, bool unix_allowed);
Setting BytesSetting(const SettingLabel& label, int64_t ServerConfig::*field,
                     IntegerRange range);
Setting DurationSetting(const SettingLabel& label,
                        Duration ServerConfig::*field, DurationRange range);
Setting SwitchSetting(const SettingLabel& label, bool ServerConfig::*field);

// A row without its parse and format, for kinds that are needed once.
Setting MakeSetting(const SettingLabel& label, std::string_view value_name);

// Puts a parsed value into its field.
template <typename T>
absl::Status Assign(absl::StatusOr<T> value, auto& field) {
  if (!value.ok()) return value.status();
  field =
      static_cast<std::remove_reference_t<decltype(field)>>(*std::move(value));
  return absl::OkStatus();
}

template <typename Integer>
Setting IntegerSetting(const SettingLabel& label, Integer ServerConfig::*field,
                       IntegerRange range) {
  Setting setting = MakeSetting(label, "N");
  setting.parse = [field, range](std::string_view text, ServerConfig& config) {
    return Assign(ParseInteger(text, range), config.*field);
  };
  setting.format = [field](const ServerConfig& config) {
    return absl::StrCat(config.*field);
  };
  return setting;
}

template <typename Enum>
struct Choice {
  std::string_view name;
  Enum value;
};

// `choices` in the order in which errors and --help list them.
template <typename Enum>
Setting ChoiceSetting(const SettingLabel& label, Enum ServerConfig::*field,
                      std::vector<Choice<Enum>> choices) {
  Setting setting = MakeSetting(label, "NAME");
  setting.parse = [field, choices](std::string_view text,
                                   ServerConfig& config) {
    std::string names;
    for (const auto& choice : choices) {
      if (text == choice.name) {
        config.*field = choice.value;
        return absl::OkStatus();
      }
      absl::StrAppend(&names, names.empty() ? "" : ", ", AbslView(choice.name));
    }
    return absl::InvalidArgumentError(absl::StrCat(
        "must be one of ", names, "; got \"", AbslView(text), "\""));
  };
  setting.format = [field, choices](const ServerConfig& config) {
    for (const auto& choice : choices) {
      if (config.*field == choice.value) return std::string(choice.name);
    }
    return std::string();
  };
  return setting;
}

}  // namespace attn
