#include "server/command_line.h"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <map>
#include <optional>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "core/base/status_macros.h"
#include "server/absl_view.h"
#include "server/config_file.h"
#include "server/listen_address.h"
#include "server/settings.h"
#include "server/units.h"

namespace attn {
namespace {

constexpr size_t kHelpColumn = 30;
constexpr size_t kHelpWidth = 49;
constexpr char kPrefix[] = "ATTNSERVE_";
constexpr char kDescription[] =
    "attnserve computes scaled dot-product attention for tensors that\n"
    "clients send over gRPC.";
constexpr char kFooter[] =
    "Sizes are bytes or take KiB, MiB, GiB; times take us, ms, s, m, h.\n"
    "Each flag can also be set as ATTNSERVE_<NAME> in the environment\n"
    "(ATTNSERVE_GRPC_ADDRESS) or as a key in the config file (grpc-address).\n"
    "A flag wins over the environment, the environment over the file.";

// A value as text, and where it was found, for errors.
struct Given {
  std::string value;
  std::string source;  // "--workers", "ATTNSERVE_WORKERS", "FILE:3: workers"
};
using GivenByName = std::map<std::string, Given, std::less<>>;

// What CLI11 fills in.
struct RawFlags {
  std::map<std::string, std::string, std::less<>> settings;
  std::string config_path;
  bool print_config = false;
  bool check_config = false;
  std::string healthcheck_address;
  std::string healthcheck_timeout = "1s";
};

std::string Wrap(absl::string_view text, size_t width) {
  std::string wrapped;
  size_t column = 0;
  for (absl::string_view word : absl::StrSplit(text, ' ')) {
    const bool fits = column + 1 + word.size() <= width;
    if (column > 0) wrapped += fits ? ' ' : '\n';
    column = (column > 0 && fits ? column + 1 : 0) + word.size();
    wrapped.append(word.data(), word.size());
  }
  return wrapped;
}

void AddSettings(CLI::App& app, const ServerConfig& defaults, RawFlags& raw) {
  for (const Setting& setting : AllSettings()) {
    const std::string name(setting.name);
    const std::string help = absl::StrCat(AbslView(setting.help), " (",
                                          setting.format(defaults), ")");
    CLI::Option* option =
        app.add_option("--" + name, raw.settings[name], Wrap(help, kHelpWidth))
            ->group(std::string(setting.group))
            ->option_text(std::string(setting.value_name));
    if (setting.is_switch) option->expected(0, 1)->option_text("[BOOL]");
  }
}

void AddActions(CLI::App& app, const std::string& version, RawFlags& raw) {
  const std::string group = "Configuration";
  app.add_option("--config", raw.config_path, "Read settings from this file.")
      ->group(group)
      ->option_text("FILE");
  app.add_flag("--print-config", raw.print_config,
               Wrap("Print the effective settings in the form that --config "
                    "reads, and exit.",
                    kHelpWidth))
      ->group(group);
  app.add_flag("--check-config", raw.check_config,
               "Check all settings and exit: 0 if they are good.")
      ->group(group);
  app.set_version_flag("--version", "attnserve " + version,
                       "Print the version.")
      ->group(group);
  app.set_help_flag("-h,--help", "Print this text.")->group(group);
}

CLI::App* AddHealthcheck(CLI::App& app, RawFlags& raw) {
  CLI::App* healthcheck = app.add_subcommand(
      "healthcheck",
      Wrap("Ask a running server how it is; exit 0 if it serves.", kHelpWidth));
  healthcheck
      ->add_option("--address", raw.healthcheck_address,
                   Wrap("The server's gRPC address (the effective "
                        "--grpc-address; with TLS --http-address is asked).",
                        kHelpWidth))
      ->option_text("ADDRESS");
  healthcheck
      ->add_option("--timeout", raw.healthcheck_timeout,
                   "How long to wait for its answer (1s).")
      ->option_text("TIME");
  return healthcheck;
}

// Flags that argv gives, by setting.
GivenByName GivenFlags(const CLI::App& app, const RawFlags& raw) {
  GivenByName given;
  for (const auto& [name, value] : raw.settings) {
    const std::string flag = "--" + name;
    const CLI::Option* option = app.get_option(flag);
    if (option->count() == 0) continue;
    const bool is_bare =
        option->get_expected_min() == 0 && (value.empty() || value == "{}");
    given[name] = {is_bare ? "true" : value, flag};
  }
  return given;
}

// A Service named attnserve makes Kubernetes set such variables in every pod.
bool LooksLikeKubernetes(absl::string_view name) {
  return absl::StrContains(name, "_SERVICE_") ||
         absl::StrContains(name, "_PORT");
}

absl::Status UnknownVariable(absl::string_view name) {
  const char* hint =
      LooksLikeKubernetes(name)
          ? " (Kubernetes sets it for a Service of that name: set "
            "enableServiceLinks: false in the pod)"
          : "";
  return absl::InvalidArgumentError(
      absl::StrCat("unknown environment variable ", name, hint));
}

// ATTNSERVE_* entries by setting; "config" for ATTNSERVE_CONFIG.
absl::StatusOr<GivenByName> GivenVariables(
    const std::vector<std::string>& environment) {
  std::map<std::string, std::string, std::less<>> settings_by_variable;
  settings_by_variable[EnvironmentName("config")] = "config";
  for (const Setting& setting : AllSettings()) {
    settings_by_variable[EnvironmentName(setting.name)] = setting.name;
  }
  GivenByName given;
  for (const std::string& entry : environment) {
    if (!absl::StartsWith(entry, kPrefix)) continue;
    const std::pair<std::string, std::string> variable =
        absl::StrSplit(entry, absl::MaxSplits('=', 1));
    const auto found = settings_by_variable.find(variable.first);
    if (found == settings_by_variable.end()) {
      return UnknownVariable(variable.first);
    }
    given[found->second] = {variable.second, variable.first};
  }
  return given;
}

absl::StatusOr<GivenByName> GivenFileEntries(const std::string& path) {
  const std::vector<Setting> settings = AllSettings();
  GivenByName given;
  ATTN_ASSIGN_OR_RETURN(const auto entries, ReadConfigFile(path));
  for (const ConfigEntry& entry : entries) {
    const bool known = std::ranges::any_of(
        settings, [&](const Setting& each) { return each.name == entry.key; });
    if (!known) {
      return absl::InvalidArgumentError(
          absl::StrCat("config file ", path, " line ", entry.line,
                       ": unknown key ", entry.key));
    }
    given[entry.key] = {entry.value,
                        absl::StrCat("config file ", path, " line ", entry.line,
                                     ": ", entry.key)};
  }
  return given;
}

absl::Status Apply(const GivenByName& given, ServerConfig& config) {
  for (const Setting& setting : AllSettings()) {
    const auto found = given.find(setting.name);
    if (found == given.end()) continue;
    const absl::Status status = setting.parse(found->second.value, config);
    if (!status.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat(found->second.source, " ", status.message()));
    }
  }
  return absl::OkStatus();
}

// All sources merged; a value of a lower source that a higher one overrides is
// not looked at.
absl::StatusOr<ServerConfig> Merge(GivenByName flags, const RawFlags& raw,
                                   const std::vector<std::string>& environment,
                                   const ServerConfig& defaults) {
  ATTN_ASSIGN_OR_RETURN(GivenByName variables, GivenVariables(environment));
  std::optional<std::string> path;
  if (variables.contains("config")) path = variables["config"].value;
  if (!raw.config_path.empty()) path = raw.config_path;
  GivenByName given = std::move(flags);
  given.merge(variables);
  if (path.has_value()) {
    ATTN_ASSIGN_OR_RETURN(GivenByName entries, GivenFileEntries(*path));
    given.merge(entries);
  }
  ServerConfig config = defaults;
  ATTN_RETURN_IF_ERROR(Apply(given, config));
  if (!given.contains("max-queue-bytes")) {
    config.max_queue_bytes =
        std::max(config.max_queue_bytes, config.max_request_bytes);
  }
  if (!given.contains("grpc-memory")) {
    config.grpc_memory_bytes =
        std::max(config.grpc_memory_bytes, 2 * config.max_request_bytes);
  }
  ATTN_RETURN_IF_ERROR(CheckConfig(config));
  return config;
}

absl::StatusOr<HealthcheckOptions> MakeHealthcheck(const RawFlags& raw,
                                                   const ServerConfig& config) {
  const bool is_given = !raw.healthcheck_address.empty();
  const bool is_http = !is_given && !config.tls_certificate.empty();
  const auto address = ParseListenAddress(
      is_given ? raw.healthcheck_address
               : (is_http ? config.http_address : config.grpc_address));
  if (!address.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--address ", address.status().message()));
  }
  if (!address->is_unix() && address->port == 0) {
    return absl::InvalidArgumentError(
        "--address must name the server's port; got 0");
  }
  const auto timeout =
      ParseDuration(raw.healthcheck_timeout,
                    {std::chrono::milliseconds(1), std::chrono::hours(1)});
  if (!timeout.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--timeout ", timeout.status().message()));
  }
  return HealthcheckOptions{FormatListenAddress(LoopbackOf(*address)), *timeout,
                            is_http};
}

Invocation ShowText(std::string text) {
  Invocation invocation;
  invocation.action = Action::kShowText;
  invocation.text = std::move(text);
  return invocation;
}

// Runs CLI11; a text to show, if that is all there is to do.
absl::StatusOr<std::optional<std::string>> RunParser(
    CLI::App& app, const std::vector<std::string>& args) {
  try {
    // CLI11 takes them from the back.
    app.parse(std::vector<std::string>(args.rbegin(), args.rend()));
  } catch (const CLI::CallForHelp&) {
    // CLI11 leaves two blank lines between groups.
    return absl::StrReplaceAll(app.help(), {{"\n\n\n", "\n\n"}});
  } catch (const CLI::CallForVersion& version) {
    return absl::StrCat(version.what(), "\n");
  } catch (const CLI::ParseError& error) {
    return absl::InvalidArgumentError(
        absl::StrCat(error.what(), " (see --help)"));
  }
  return std::nullopt;
}

}  // namespace

absl::StatusOr<Invocation> ParseCommandLine(
    const std::vector<std::string>& args,
    const std::vector<std::string>& environment, const HostFacts& host) {
  const ServerConfig defaults = DefaultConfig(host.usable_memory_bytes);
  RawFlags raw;
  CLI::App app(kDescription, "attnserve");
  app.get_formatter()->column_width(kHelpColumn);
  app.footer(kFooter);
  AddSettings(app, defaults, raw);
  AddActions(app, host.version, raw);
  const CLI::App* healthcheck = AddHealthcheck(app, raw);

  ATTN_ASSIGN_OR_RETURN(const auto text, RunParser(app, args));
  if (text.has_value()) return ShowText(*text);

  Invocation invocation;
  ATTN_ASSIGN_OR_RETURN(invocation.config, Merge(GivenFlags(app, raw), raw,
                                                 environment, defaults));
  if (raw.print_config) return ShowText(PrintConfig(invocation.config));
  if (raw.check_config) return ShowText("The configuration is good.\n");
  if (healthcheck->parsed()) {
    invocation.action = Action::kHealthcheck;
    ATTN_ASSIGN_OR_RETURN(invocation.healthcheck,
                          MakeHealthcheck(raw, invocation.config));
  }
  return invocation;
}

}  // namespace attn
