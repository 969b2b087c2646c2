// How a client connects, waits and retries; and what one call may override.
// Plain values: thread-compatible.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/time/time.h"

namespace attn::client {

// gRPC's own retries. UNAVAILABLE and RESOURCE_EXHAUSTED are retried; where the
// server answers with grpc-retry-pushback-ms (QUEUE_FULL), that time is waited
// instead of the backoff, and a negative one ends the retries. Appends to a
// session without expected_length and streams are never retried.
struct RetryPolicy {
  // Attempts in all, 1..5 (gRPC caps at 5). 1: no retries.
  int max_attempts = 4;
  // First wait, jittered by gRPC; each further one is `multiplier` times
  // longer, up to max_backoff.
  absl::Duration initial_backoff = absl::Milliseconds(100);
  absl::Duration max_backoff = absl::Seconds(2);
  double multiplier = 2.0;
  // Bytes kept of each call for its retries. A larger request is sent once
  // only: gRPC's own default of 256 KiB would never retry a tensor. 0: as
  // ClientOptions::max_message_bytes.
  int64_t buffer_bytes = 0;
};

// A gRPC channel argument by its name ("grpc.keepalive_time_ms").
using ChannelArgument = std::pair<std::string, std::variant<int, std::string>>;

// What a TLS connection rests on, as PEM texts.
struct TlsOptions {
  // Who is trusted to have signed the server's certificate. Empty: gRPC's own
  // list.
  std::string root_certificates = {};
  // Who the client is, where the server asks for a certificate (mTLS): both or
  // none.
  std::string certificate_chain = {};
  std::string private_key = {};
  // The name in the server's certificate. Empty: that of the address.
  std::string server_name = {};
};

struct ClientOptions {
  // "host:port", "unix:/path" or another gRPC target.
  std::string address = "127.0.0.1:8001";
  // Largest message in either direction, in bytes, at most 2^31 - 1. The
  // default is twice the server's default limit, so that its own error with
  // field and numbers arrives.
  int64_t max_message_bytes = int64_t{512} << 20;
  RetryPolicy retry = {};
  // For calls that set none. Infinite: no deadline, and a lost server is only
  // noticed by TCP.
  absl::Duration default_deadline = absl::Seconds(30);
  // None: plain text.
  std::optional<TlsOptions> tls = {};
  // The bearer token of a call, asked at each one from its thread, so that it
  // may change; an empty one is not sent. Not set: no token. Without tls it
  // goes over the network for all to read.
  std::function<std::string()> token = {};
  // Applied last; wins over what the client sets itself.
  std::vector<ChannelArgument> channel_arguments = {};
};

// Keys, lower-case, and values.
using Metadata = std::vector<std::pair<std::string, std::string>>;

// What one call overrides.
struct CallOptions {
  // From the start of the call, retries included. 0: the client's default.
  absl::Duration deadline = absl::ZeroDuration();
  // Wait for a server that is not up yet, up to the deadline, instead of
  // failing with UNAVAILABLE.
  bool wait_for_ready = false;
  // Further metadata.
  Metadata metadata = {};
  // Null, or where the server's trailing metadata goes when the call ends,
  // whatever its status ("server-timing" of a call that sent a traceparent).
  // Must live until then: until the callback runs, or a stream's Finish.
  Metadata* trailing_metadata = nullptr;
};

}  // namespace attn::client
