#include "server/setting_types.h"

#include "server/listen_address.h"

namespace attn {
namespace {

// An empty path is written as "off".
constexpr std::string_view kOff = "off";

}  // namespace

Setting MakeSetting(const SettingLabel& label, std::string_view value_name) {
  Setting setting;
  setting.name = label.name;
  setting.group = label.group;
  setting.value_name = value_name;
  setting.help = label.help;
  return setting;
}

Setting BytesSetting(const SettingLabel& label, int64_t ServerConfig::*field,
                     IntegerRange range) {
  Setting setting = MakeSetting(label, "SIZE");
  setting.parse = [field, range](std::string_view text, ServerConfig& config) {
    return Assign(ParseBytes(text, range), config.*field);
  };
  setting.format = [field](const ServerConfig& config) {
    return FormatBytes(config.*field);
  };
  return setting;
}

Setting DurationSetting(const SettingLabel& label,
                        Duration ServerConfig::*field, DurationRange range) {
  Setting setting = MakeSetting(label, "TIME");
  setting.parse = [field, range](std::string_view text, ServerConfig& config) {
    return Assign(ParseDuration(text, range), config.*field);
  };
  setting.format = [field](const ServerConfig& config) {
    return FormatDuration(config.*field);
  };
  return setting;
}

Setting AddressSetting(const SettingLabel& label,
                       std::string ServerConfig::*field, bool unix_allowed) {
  Setting setting = MakeSetting(label, "ADDRESS");
  setting.parse = [field, unix_allowed](std::string_view text,
                                        ServerConfig& config) {
    const auto address = ParseListenAddress(text);
    if (!address.ok()) return address.status();
    if (address->is_unix() && !unix_allowed) {
      return absl::InvalidArgumentError(
          absl::StrCat("must be HOST:PORT; got \"", AbslView(text), "\""));
    }
    config.*field = FormatListenAddress(*address);
    return absl::OkStatus();
  };
  setting.format = [field](const ServerConfig& config) {
    return config.*field;
  };
  return setting;
}

Setting PathSetting(const SettingLabel& label,
                    std::string ServerConfig::*field) {
  Setting setting = MakeSetting(label, "PATH");
  setting.parse = [field](std::string_view text, ServerConfig& config) {
    if (text != kOff && !text.starts_with('/')) {
      return absl::InvalidArgumentError(
          absl::StrCat("must be a path that starts with / or ", AbslView(kOff),
                       "; got \"", AbslView(text), "\""));
    }
    config.*field = text == kOff ? "" : std::string(text);
    return absl::OkStatus();
  };
  setting.format = [field](const ServerConfig& config) {
    return (config.*field).empty() ? std::string(kOff) : config.*field;
  };
  return setting;
}

Setting SwitchSetting(const SettingLabel& label, bool ServerConfig::*field) {
  Setting setting = MakeSetting(label, "BOOL");
  setting.is_switch = true;
  setting.parse = [field](std::string_view text, ServerConfig& config) {
    return Assign(ParseBool(text), config.*field);
  };
  setting.format = [field](const ServerConfig& config) {
    return std::string(config.*field ? "true" : "false");
  };
  return setting;
}

}  // namespace attn
