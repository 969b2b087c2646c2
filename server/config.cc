#include "server/config.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "core/base/status_macros.h"
#include "server/absl_view.h"
#include "server/listen_address.h"
#include "server/settings.h"
#include "server/units.h"

namespace attn {
namespace {

constexpr int64_t kMebibyte = int64_t{1} << 20;

int64_t RoundDownToMebibyte(int64_t bytes) {
  return std::max(bytes / kMebibyte, int64_t{1}) * kMebibyte;
}

absl::Status CheckCredentials(const ServerConfig& config) {
  const bool has_key = !config.tls_key.empty();
  const bool has_certificate = !config.tls_certificate.empty();
  const bool has_tokens = !config.token_file.empty();
  if (has_key != has_certificate) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--tls-certificate and --tls-key must be given together; got only ",
        has_key ? "--tls-key" : "--tls-certificate"));
  }
  if (config.tls_client_ca.empty() && !has_tokens) return absl::OkStatus();
  if (!config.tls_client_ca.empty() && !has_certificate) {
    return absl::InvalidArgumentError(
        "--tls-client-ca must come with --tls-certificate and --tls-key");
  }
  // gRPC's own service of that name asks for no token.
  if (config.reflection && has_tokens) {
    return absl::InvalidArgumentError(
        "--reflection must be off with --token-file: it answers without a "
        "token");
  }
  if (!config.shared_memory_socket.empty() && !has_tokens) {
    return absl::InvalidArgumentError(
        "--shared-memory-socket with --tls-client-ca must come with "
        "--token-file: no certificate can be shown at the socket");
  }
  return absl::OkStatus();
}

absl::Status CheckLayers(const ServerConfig& config) {
  if (!config.layers_folder.empty()) return absl::OkStatus();
  if (config.layer_loading) {
    return absl::InvalidArgumentError(
        "--layer-loading must come with --layers");
  }
  if (config.load_layers == "all" || config.load_layers == "none") {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("--load-layers must come with --layers; got only \"",
                   config.load_layers, "\""));
}

}  // namespace

ServerConfig DefaultConfig(int64_t usable_memory_bytes) {
  ServerConfig config;
  config.kv_memory_bytes = RoundDownToMebibyte(usable_memory_bytes / 2);
  const int64_t quarter = RoundDownToMebibyte(usable_memory_bytes / 4);
  config.max_queue_bytes = std::min(config.max_queue_bytes, quarter);
  config.grpc_memory_bytes = std::min(config.grpc_memory_bytes, quarter);
  return config;
}

absl::Status CheckConfig(const ServerConfig& config) {
  ATTN_RETURN_IF_ERROR(CheckCredentials(config));
  ATTN_RETURN_IF_ERROR(CheckLayers(config));
  if (config.max_queue_bytes < config.max_request_bytes) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--max-queue-bytes must be at least --max-request-bytes, or the "
        "largest requests could never be admitted; got ",
        FormatBytes(config.max_queue_bytes), " and ",
        FormatBytes(config.max_request_bytes)));
  }
  if (config.grpc_memory_bytes < 2 * config.max_request_bytes) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--grpc-memory must be at least twice --max-request-bytes, or the "
        "largest requests could be reset on their way in; got ",
        FormatBytes(config.grpc_memory_bytes), " and ",
        FormatBytes(config.max_request_bytes)));
  }
  const auto grpc = ParseListenAddress(config.grpc_address);
  if (grpc.ok() && grpc->port != 0 &&
      config.grpc_address == config.http_address) {
    return absl::InvalidArgumentError(
        absl::StrCat("--grpc-address and --http-address must differ; got ",
                     config.grpc_address, " for both"));
  }
  return absl::OkStatus();
}

std::string PrintConfig(const ServerConfig& config) {
  std::string text;
  std::string_view group;
  for (const Setting& setting : AllSettings()) {
    if (setting.group != group) {
      absl::StrAppend(&text, text.empty() ? "" : "\n", "# ",
                      AbslView(setting.group), "\n");
      group = setting.group;
    }
    absl::StrAppend(&text, AbslView(setting.name), " = ",
                    setting.format(config), "\n");
  }
  return text;
}

}  // namespace attn
