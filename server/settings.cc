#include "server/settings.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "server/absl_view.h"
#include "server/setting_types.h"

namespace attn {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr int64_t kMiB = int64_t{1} << 20;
constexpr int64_t kGiB = int64_t{1} << 30;
constexpr hours kWeek(168);
constexpr hours kYear(8760);
constexpr IntegerRange kMessageBytes{.min = 1, .max = kGiB};

constexpr std::string_view kNetwork = "Network";
constexpr std::string_view kConnections = "Connections";
constexpr std::string_view kAccess = "Access (health and probes stay open)";
constexpr std::string_view kCompute = "Compute";
constexpr std::string_view kLimits = "Limits (past them: RESOURCE_EXHAUSTED)";
constexpr std::string_view kBatching = "Batching";
constexpr std::string_view kSessions = "Sessions";
constexpr std::string_view kLayers = "Attention layers";
constexpr std::string_view kTenants =
    "Tenants (who has credentials; see --token-file and --tls-client-ca)";
constexpr std::string_view kShutdown = "Shutdown";
constexpr std::string_view kLogging = "Logging";

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
  settings.push_back(PathSetting(
      {"shared-memory-socket", kNetwork,
       "Unix socket where clients on this machine get memory to share tensors "
       "in; off: none is shared."},
      &ServerConfig::shared_memory_socket));
  settings.push_back(BytesSetting(
      {"shared-memory", kNetwork,
       "What the memory shared with all clients may come to."},
      &ServerConfig::shared_memory_bytes, {.min = 1, .max = 1024 * kGiB}));
}

void AddConnectionTimes(std::vector<Setting>& settings) {
  settings.push_back(DurationSetting(
      {"max-connection-age", kConnections,
       "A connection this old is asked to go, so that its client connects "
       "anew; 0 never asks."},
      &ServerConfig::max_connection_age, {Duration::zero(), kWeek}));
  settings.push_back(DurationSetting(
      {"max-connection-age-grace", kConnections,
       "How long calls on a connection that was asked to go may still take; 0 "
       "sets no bound."},
      &ServerConfig::max_connection_age_grace, {Duration::zero(), kWeek}));
  settings.push_back(DurationSetting(
      {"max-connection-idle", kConnections,
       "A connection without a call for this long is closed; 0 never closes."},
      &ServerConfig::max_connection_idle, {Duration::zero(), kWeek}));
  settings.push_back(DurationSetting(
      {"handshake-timeout", kConnections,
       "A connection must speak TLS and HTTP/2 within this time."},
      &ServerConfig::handshake_timeout, {milliseconds(10), seconds(120)}));
  settings.push_back(DurationSetting(
      {"keepalive-interval", kConnections,
       "After so long without a word the server pings the client, and drops it "
       "if no answer comes within 20s; 0 never pings."},
      &ServerConfig::keepalive_interval, {Duration::zero(), kWeek}));
  settings.push_back(DurationSetting(
      {"min-ping-interval", kConnections,
       "A client that pings more often is told to go."},
      &ServerConfig::min_ping_interval, {Duration::zero(), hours(2)}));
}

void AddConnections(std::vector<Setting>& settings) {
  settings.push_back(IntegerSetting(
      {"max-connection-streams", kConnections,
       "Calls under way on one connection; further ones wait in the client."},
      &ServerConfig::max_connection_streams, {.min = 1, .max = 1 << 20}));
  AddConnectionTimes(settings);
  settings.push_back(BytesSetting(
      {"max-metadata-bytes", kConnections,
       "Metadata of a call, up to 1MiB; more is refused."},
      &ServerConfig::max_metadata_bytes, {.min = 1024, .max = kMiB}));
  settings.push_back(BytesSetting(
      {"grpc-memory", kConnections,
       "What gRPC may hold of messages on their way in and out; past it, it "
       "resets calls. The default is 2GiB, or a quarter of the memory if that "
       "is less, but never less than twice --max-request-bytes."},
      &ServerConfig::grpc_memory_bytes, {.min = kMiB, .max = 1024 * kGiB}));
}

void AddAccess(std::vector<Setting>& settings) {
  settings.push_back(
      PathSetting({"tls-certificate", kAccess,
                   "PEM file of the certificate chain that gRPC shows; with "
                   "it and --tls-key gRPC speaks TLS only."},
                  &ServerConfig::tls_certificate));
  settings.push_back(PathSetting(
      {"tls-key", kAccess, "PEM file of its private key, without passphrase."},
      &ServerConfig::tls_key));
  settings.push_back(
      PathSetting({"tls-client-ca", kAccess,
                   "PEM file of the CA whose certificates clients must show; "
                   "without --token-file they name the tenants."},
                  &ServerConfig::tls_client_ca));
  settings.push_back(
      PathSetting({"token-file", kAccess,
                   "File of bearer tokens that callers need, over gRPC, HTTP "
                   "and at the shared memory's socket: lines TENANT TOKEN "
                   "[client|monitor]."},
                  &ServerConfig::token_file));
  settings.push_back(DurationSetting(
      {"tls-reload-interval", kAccess,
       "How often the four files are read again; new contents that make no "
       "sense leave the old ones in place."},
      &ServerConfig::tls_reload_interval, {milliseconds(10), hours(24)}));
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

// Whether it comes back from a config file as it is; whether there is such a
// layer is the store's to say.
bool IsLayerName(absl::string_view text) {
  const auto is_bad = [](unsigned char c) {
    return absl::ascii_iscntrl(c) || c == '"';
  };
  return !text.empty() && text == absl::StripAsciiWhitespace(text) &&
         std::none_of(text.begin(), text.end(), is_bad);
}

// "all", "none" or names with commas between them.
Setting LayerNamesSetting(const SettingLabel& label,
                          std::string ServerConfig::*field) {
  Setting setting = MakeSetting(label, "NAMES");
  setting.parse = [field](std::string_view text, ServerConfig& config) {
    for (const absl::string_view name : absl::StrSplit(AbslView(text), ',')) {
      if (IsLayerName(name)) continue;
      return absl::InvalidArgumentError(absl::StrCat(
          "must be all, none or names of layers with commas between them; got "
          "\"",
          AbslView(text), "\""));
    }
    config.*field = std::string(text);
    return absl::OkStatus();
  };
  setting.format = [field](const ServerConfig& config) {
    return config.*field;
  };
  return setting;
}

void AddLayers(std::vector<Setting>& settings) {
  settings.push_back(PathSetting(
      {"layers", kLayers,
       "Folder of a model as published (config.json, safetensors), or of "
       "such folders, whose attention layers are served; off: none."},
      &ServerConfig::layers_folder));
  settings.push_back(LayerNamesSetting(
      {"load-layers", kLayers,
       "Which layers to load at the start: all, none or names as "
       "model/0,model/1."},
      &ServerConfig::load_layers));
  settings.push_back(ChoiceSetting<WeightFormat>(
      {"layer-weights", kLayers,
       "In which form weights are kept: stored (as the files have them), f32, "
       "f16, bf16 or int8."},
      &ServerConfig::layer_weights,
      {{"stored", WeightFormat::kUnspecified},
       {"f32", WeightFormat::kF32},
       {"f16", WeightFormat::kF16},
       {"bf16", WeightFormat::kBF16},
       {"int8", WeightFormat::kInt8}}));
  settings.push_back(BytesSetting(
      {"max-layer-bytes", kLayers,
       "What the weights of all loaded layers may come to."},
      &ServerConfig::max_layer_bytes, {.min = kMiB, .max = kMiB * kGiB}));
  settings.push_back(
      SwitchSetting({"layer-loading", kLayers,
                     "Let clients load layers from --layers, and unload them."},
                    &ServerConfig::layer_loading));
}

Setting ShareSetting(const SettingLabel& label, double ServerConfig::*field) {
  Setting setting = MakeSetting(label, "SHARE");
  setting.parse = [field](std::string_view text, ServerConfig& config) {
    return Assign(ParseShare(text), config.*field);
  };
  setting.format = [field](const ServerConfig& config) {
    return FormatShare(config.*field);
  };
  return setting;
}

void AddTenants(std::vector<Setting>& settings) {
  settings.push_back(PathSetting(
      {"tenants", kTenants,
       "File of tenants with limits of their own, a line each; off: none."},
      &ServerConfig::tenants_file));
  settings.push_back(BytesSetting(
      {"tenant-kv-memory", kTenants,
       "Memory for the sessions of a tenant without limits of its own; 0: no "
       "bound but --kv-memory."},
      &ServerConfig::tenant_kv_memory_bytes, {.min = 0, .max = kMiB * kGiB}));
  settings.push_back(IntegerSetting(
      {"tenant-max-sessions", kTenants,
       "Sessions that such a tenant may have; 0: no bound but --max-sessions."},
      &ServerConfig::tenant_max_sessions, {.min = 0, .max = 100'000'000}));
  settings.push_back(
      ShareSetting({"tenant-queue-share", kTenants,
                    "Share of --max-queue-tasks, --max-queue-bytes and "
                    "--max-queue-wait that "
                    "such a tenant may fill, as 50%; off: all."},
                   &ServerConfig::tenant_queue_share));
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
  AddConnections(settings);
  AddAccess(settings);
  AddCompute(settings);
  AddLimits(settings);
  AddBatching(settings);
  AddSessions(settings);
  AddLayers(settings);
  AddTenants(settings);
  AddShutdownAndLogging(settings);
  return settings;
}

std::string EnvironmentName(std::string_view setting_name) {
  return absl::StrCat("ATTNSERVE_", absl::AsciiStrToUpper(absl::StrReplaceAll(
                                        AbslView(setting_name), {{"-", "_"}})));
}

}  // namespace attn
