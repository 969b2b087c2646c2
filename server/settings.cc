#include "server/settings.h"

#include <limits>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "server/absl_view.h"
#include "server/listen_address.h"
#include "server/units.h"

namespace attn {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr int64_t kMiB = int64_t{1} << 20;
constexpr int64_t kGiB = int64_t{1} << 30;
constexpr hours kYear(8760);
constexpr IntegerRange kMessageBytes{.min = 1, .max = kGiB};

constexpr std::string_view kNetwork = "Network";
constexpr std::string_view kCompute = "Compute";
constexpr std::string_view kLimits = "Limits (past them: RESOURCE_EXHAUSTED)";
constexpr std::string_view kBatching = "Batching";
constexpr std::string_view kSessions = "Sessions";
constexpr std::string_view kShutdown = "Shutdown";
constexpr std::string_view kLogging = "Logging";

// Name, heading and help of a row; the builders below add the typed part.
struct Label {
  std::string_view name;
  std::string_view group;
  std::string_view help;
};

template <typename T>
absl::Status Assign(absl::StatusOr<T> value, auto& field) {
  if (!value.ok()) return value.status();
  field =
      static_cast<std::remove_reference_t<decltype(field)>>(*std::move(value));
  return absl::OkStatus();
}

Setting MakeSetting(const Label& label, std::string_view value_name) {
  Setting setting;
  setting.name = label.name;
  setting.group = label.group;
  setting.value_name = value_name;
  setting.help = label.help;
  return setting;
}

template <typename Integer>
Setting IntegerSetting(const Label& label, Integer ServerConfig::*field,
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

Setting BytesSetting(const Label& label, int64_t ServerConfig::*field,
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

Setting DurationSetting(const Label& label, Duration ServerConfig::*field,
                        DurationRange range) {
  Setting setting = MakeSetting(label, "TIME");
  setting.parse = [field, range](std::string_view text, ServerConfig& config) {
    return Assign(ParseDuration(text, range), config.*field);
  };
  setting.format = [field](const ServerConfig& config) {
    return FormatDuration(config.*field);
  };
  return setting;
}

Setting AddressSetting(const Label& label, std::string ServerConfig::*field,
                       bool unix_allowed) {
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

// An empty path is written as "off".
constexpr std::string_view kOff = "off";

Setting SocketSetting(const Label& label, std::string ServerConfig::*field) {
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

template <typename Enum>
struct Choice {
  std::string_view name;
  Enum value;
};

// `choices` in the order in which errors and --help list them.
template <typename Enum>
Setting ChoiceSetting(const Label& label, Enum ServerConfig::*field,
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

Setting SwitchSetting(const Label& label, bool ServerConfig::*field) {
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

void AddNetwork(std::vector<Setting>& settings) {
  settings.push_back(AddressSetting(
      {"grpc-address", kNetwork,
       "Where gRPC listens: HOST:PORT or unix:/path. Port 0 picks a free port "
       "and logs it."},
      &ServerConfig::grpc_address, /*unix_allowed=*/true));
  settings.push_back(AddressSetting(
      {"http-address", kNetwork,
       "Where HTTP serves /metrics, /livez, /readyz and /statusz: HOST:PORT. "
       "Port 0 picks a free port and logs it."},
      &ServerConfig::http_address, /*unix_allowed=*/false));
  settings.push_back(
      SwitchSetting({"reflection", kNetwork,
                     "Answer gRPC reflection, for tools such as grpcurl."},
                    &ServerConfig::reflection));
  settings.push_back(SocketSetting(
      {"shared-memory-socket", kNetwork,
       "Unix socket where clients on this machine get memory to share tensors "
       "in; off: none is shared."},
      &ServerConfig::shared_memory_socket));
  settings.push_back(BytesSetting(
      {"shared-memory", kNetwork,
       "What the memory shared with all clients may come to."},
      &ServerConfig::shared_memory_bytes, {.min = 1, .max = 1024 * kGiB}));
}

void AddCompute(std::vector<Setting>& settings) {
  settings.push_back(IntegerSetting(
      {"workers", kCompute,
       "Compute threads; 0 takes the CPUs that cgroup quota and cpuset give."},
      &ServerConfig::workers, {.min = 0, .max = 1024}));
  settings.push_back(
      SwitchSetting({"pin-workers", kCompute,
                     "Keep each worker on a CPU of its own; for a machine that "
                     "is the server's alone."},
                    &ServerConfig::pin_workers));
  settings.push_back(DurationSetting(
      {"worker-spin", kCompute,
       "How long a worker without work looks for more before it sleeps: lower "
       "latency for a busy CPU."},
      &ServerConfig::worker_spin, {Duration::zero(), milliseconds(10)}));
  settings.push_back(ChoiceSetting<Isa>(
      {"max-isa", kCompute,
       "Highest instruction set to use: auto, avx512 or avx2."},
      &ServerConfig::max_isa,
      {{"auto", Isa::kAuto}, {"avx512", Isa::kAvx512}, {"avx2", Isa::kAvx2}}));
}

void AddLimits(std::vector<Setting>& settings) {
  settings.push_back(BytesSetting(
      {"max-request-bytes", kLimits, "Largest request message, up to 1GiB."},
      &ServerConfig::max_request_bytes, kMessageBytes));
  settings.push_back(BytesSetting(
      {"max-reply-bytes", kLimits, "Largest reply message, up to 1GiB."},
      &ServerConfig::max_reply_bytes, kMessageBytes));
  settings.push_back(IntegerSetting(
      {"max-queue-tasks", kLimits,
       "Tasks that may wait; one more is refused with QUEUE_FULL."},
      &ServerConfig::max_queue_tasks, {.min = 1, .max = 10'000'000}));
  settings.push_back(BytesSetting(
      {"max-queue-bytes", kLimits,
       "Bytes that waiting and running tasks may hold. The default is 1GiB, or "
       "a quarter "
       "of the memory if that is less, but never less than "
       "--max-request-bytes."},
      &ServerConfig::max_queue_bytes, {.min = 1, .max = 1024 * kGiB}));
  settings.push_back(DurationSetting(
      {"max-queue-wait", kLimits,
       "Estimated wait past which a call is refused with QUEUE_FULL."},
      &ServerConfig::max_queue_wait, {milliseconds(1), hours(1)}));
}

void AddBatching(std::vector<Setting>& settings) {
  settings.push_back(IntegerSetting(
      {"max-batch-tasks", kBatching, "A batch closes at this many tasks."},
      &ServerConfig::max_batch_tasks, {.min = 1, .max = 65536}));
  settings.push_back(DurationSetting(
      {"max-batch-delay", kBatching,
       "How long an idle worker waits for company; 0 never waits."},
      &ServerConfig::max_batch_delay, {Duration::zero(), seconds(10)}));
}

void AddSessions(std::vector<Setting>& settings) {
  settings.push_back(BytesSetting(
      {"kv-memory", kSessions,
       "Memory for sessions. The default is half of what the cgroup or the "
       "machine allows."},
      &ServerConfig::kv_memory_bytes, {.min = kMiB, .max = kMiB * kGiB}));
  settings.push_back(IntegerSetting(
      {"max-sessions", kSessions, "Sessions that may exist at once."},
      &ServerConfig::max_sessions, {.min = 1, .max = 100'000'000}));
  settings.push_back(
      DurationSetting({"session-idle-ttl", kSessions,
                       "A session that nobody used for this long is deleted."},
                      &ServerConfig::session_idle_ttl, {seconds(1), kYear}));
}

void AddShutdownAndLogging(std::vector<Setting>& settings) {
  settings.push_back(DurationSetting(
      {"drain-delay", kShutdown,
       "After SIGTERM, keep accepting calls this long while not ready; 0 "
       "skips this."},
      &ServerConfig::drain_delay, {Duration::zero(), hours(1)}));
  settings.push_back(DurationSetting(
      {"drain-timeout", kShutdown,
       "Then give running calls this long. A second signal ends at once."},
      &ServerConfig::drain_timeout, {milliseconds(1), hours(1)}));
  settings.push_back(ChoiceSetting<LogLevel>(
      {"log-level", kLogging,
       "Least severe lines to write: debug, info, warning, error or off."},
      &ServerConfig::log_level,
      {{"debug", LogLevel::kDebug},
       {"info", LogLevel::kInfo},
       {"warning", LogLevel::kWarning},
       {"error", LogLevel::kError},
       {"off", LogLevel::kOff}}));
  settings.push_back(ChoiceSetting<LogFormat>(
      {"log-format", kLogging, "Form of log lines: text or json."},
      &ServerConfig::log_format,
      {{"text", LogFormat::kText}, {"json", LogFormat::kJson}}));
}

}  // namespace

std::vector<Setting> AllSettings() {
  std::vector<Setting> settings;
  AddNetwork(settings);
  AddCompute(settings);
  AddLimits(settings);
  AddBatching(settings);
  AddSessions(settings);
  AddShutdownAndLogging(settings);
  return settings;
}

std::string EnvironmentName(std::string_view setting_name) {
  return absl::StrCat("ATTNSERVE_", absl::AsciiStrToUpper(absl::StrReplaceAll(
                                        AbslView(setting_name), {{"-", "_"}})));
}

}  // namespace attn
