#include "client/cpp/service_config.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace attn::client {
namespace {

constexpr int kMaxAttempts = 5;  // gRPC caps at it.

std::string Seconds(absl::Duration duration) {
  return absl::StrFormat("%.9fs", absl::ToDoubleSeconds(duration));
}

absl::Status Check(const RetryPolicy& policy) {
  if (policy.max_attempts < 1 || policy.max_attempts > kMaxAttempts) {
    return absl::InvalidArgumentError(
        absl::StrCat("retry.max_attempts must be 1..", kMaxAttempts, "; got ",
                     policy.max_attempts));
  }
  if (policy.initial_backoff <= absl::ZeroDuration() ||
      policy.max_backoff < policy.initial_backoff ||
      policy.max_backoff == absl::InfiniteDuration()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "retry waits must satisfy 0 < initial_backoff <= max_backoff; got ",
        absl::FormatDuration(policy.initial_backoff), " and ",
        absl::FormatDuration(policy.max_backoff)));
  }
  if (!(policy.multiplier > 0.0)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "retry.multiplier must be positive; got ", policy.multiplier));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> RetryServiceConfig(const RetryPolicy& policy) {
  if (absl::Status status = Check(policy); !status.ok()) {
    return status;
  }
  if (policy.max_attempts == 1) {
    return std::string();
  }
  // Not here: CreateSession, ForkSession, DeleteSession, LoadLayer and
  // UnloadLayer. Where the answer was lost, a second attempt finds the session
  // or layer made or gone and reports that.
  constexpr char kConfig[] = R"({"methodConfig": [{
  "name": [
    {"service": "attn.v1.AttentionService", "method": "Attend"},
    {"service": "attn.v1.AttentionService", "method": "AttendBatch"},
    {"service": "attn.v1.SessionService", "method": "AppendKv"},
    {"service": "attn.v1.SessionService", "method": "TruncateSession"},
    {"service": "attn.v1.SessionService", "method": "GetSession"},
    {"service": "attn.v1.SessionService", "method": "ListSessions"},
    {"service": "attn.v1.LayerService", "method": "Forward"},
    {"service": "attn.v1.LayerService", "method": "ForwardBatch"},
    {"service": "attn.v1.LayerService", "method": "ListLayers"},
    {"service": "attn.v1.LayerService", "method": "GetLayer"}],
  "retryPolicy": {
    "maxAttempts": %d, "initialBackoff": "%s", "maxBackoff": "%s",
    "backoffMultiplier": %g,
    "retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED"]}}]})";
  return absl::StrFormat(kConfig, policy.max_attempts,
                         Seconds(policy.initial_backoff),
                         Seconds(policy.max_backoff), policy.multiplier);
}

}  // namespace attn::client
