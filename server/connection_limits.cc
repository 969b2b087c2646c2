#include "server/connection_limits.h"

#include <algorithm>
#include <limits>

#include "grpcpp/resource_quota.h"
#include "grpcpp/server_builder.h"

namespace attn {
namespace {

constexpr int kUnbounded = std::numeric_limits<int>::max();
// How long a peer may leave a ping of ours unanswered.
constexpr int kPingTimeoutMs = 20'000;

int Milliseconds(Duration time) {
  const auto count =
      std::chrono::duration_cast<std::chrono::milliseconds>(time).count();
  return static_cast<int>(std::min<int64_t>(count, kUnbounded));
}

// As gRPC says "never".
int MillisecondsOrNever(Duration time) {
  return time == Duration::zero() ? kUnbounded : Milliseconds(time);
}

// gRPC's own limits sit above ours as the last guard: what is between them gets
// our error with the numbers.
int GuardBytes(int64_t our_limit) {
  return static_cast<int>(std::min<int64_t>(2 * our_limit, kUnbounded));
}

void BoundLives(const ServerConfig& config, grpc::ServerBuilder& builder) {
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS,
                             Milliseconds(config.handshake_timeout));
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS,
                             MillisecondsOrNever(config.max_connection_idle));
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_MS,
                             MillisecondsOrNever(config.max_connection_age));
  builder.AddChannelArgument(
      GRPC_ARG_MAX_CONNECTION_AGE_GRACE_MS,
      MillisecondsOrNever(config.max_connection_age_grace));
}

// A peer that vanished without a word is noticed by a ping that stays without
// an answer; one that pings more often than it may gets GOAWAY after two
// strikes.
void BoundPings(const ServerConfig& config, grpc::ServerBuilder& builder) {
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS,
                             MillisecondsOrNever(config.keepalive_interval));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kPingTimeoutMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(
      GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
      Milliseconds(config.min_ping_interval));
}

void BoundMessages(const ServerConfig& config, grpc::ServerBuilder& builder) {
  builder.SetMaxReceiveMessageSize(GuardBytes(config.max_request_bytes));
  builder.SetMaxSendMessageSize(GuardBytes(config.max_reply_bytes));
  // Tensors do not compress, and decompression is a way to be flooded.
  builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_GZIP, false);
  builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_DEFLATE, false);
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE,
                             static_cast<int>(config.max_metadata_bytes));
}

}  // namespace

void BoundConnections(const ServerConfig& config,
                      grpc::ServerBuilder& builder) {
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS,
                             config.max_connection_streams);
  BoundLives(config, builder);
  BoundPings(config, builder);
  BoundMessages(config, builder);
  // What gRPC itself may hold: messages on their way in and out.
  builder.SetResourceQuota(
      grpc::ResourceQuota("attnserve")
          .Resize(static_cast<size_t>(config.grpc_memory_bytes)));
}

}  // namespace attn
