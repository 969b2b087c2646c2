// Everything that can be set about a server, with its defaults. Filled by
// server/command_line.h from flags, environment and config file; described one
// setting a row in server/settings.h; read by main to wire the parts.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "core/base/clock.h"
#include "core/base/isa.h"
#include "core/projection/linear.h"
#include "server/log.h"

namespace attn {

struct ServerConfig {
  // Where gRPC listens: HOST:PORT or unix:/path. Port 0 picks a free one.
  std::string grpc_address = "127.0.0.1:8001";
  // Where HTTP (metrics, probes, status page) listens: HOST:PORT.
  std::string http_address = "127.0.0.1:8002";
  // Answer gRPC reflection. Off by default: it tells strangers what is here.
  bool reflection = false;
  // The Unix socket where clients on this machine get memory that they share
  // with the server, for large tensors. Empty: none is shared.
  std::string shared_memory_socket;
  // What all of it may come to.
  int64_t shared_memory_bytes = int64_t{256} << 20;

  // What gRPC grants a connection (server/connection_limits.h). Streams: one
  // connection may fill the queue to --max-queue-wait and hear QUEUE_FULL, but
  // not more; what is beyond waits in the client, where nobody refuses it.
  int max_connection_streams = 1024;
  // Of a connection; 0: no bound. Old ones are asked to go (GOAWAY), so that
  // clients behind a load balancer find new replicas; calls under way go on for
  // the grace, then they are cut.
  Duration max_connection_age = std::chrono::minutes(30);
  Duration max_connection_age_grace = std::chrono::minutes(30);
  Duration max_connection_idle = std::chrono::minutes(10);
  Duration handshake_timeout = std::chrono::seconds(10);
  // After so long without a word the server pings the client; 0: never.
  Duration keepalive_interval = std::chrono::minutes(1);
  // Clients that ping more often are told to go.
  Duration min_ping_interval = std::chrono::seconds(10);
  // gRPC's own default.
  int64_t max_metadata_bytes = int64_t{8} << 10;
  // What gRPC holds of messages on their way in and out, all connections
  // together. Past it gRPC resets streams with ENHANCE_YOUR_CALM.
  int64_t grpc_memory_bytes = int64_t{2} << 30;

  // PEM files; empty: off. The certificate and its key make gRPC speak TLS; the
  // client CA makes it ask clients for a certificate of it.
  std::string tls_certificate;
  std::string tls_key;
  std::string tls_client_ca;
  // The bearer tokens that callers need (server/access/token_set.h); empty:
  // none.
  std::string token_file;
  // How often these files are read again.
  Duration tls_reload_interval = std::chrono::seconds(10);

  // Compute threads; 0 takes the CPUs that cgroup quota and cpuset give.
  int workers = 0;
  // Each worker on a CPU of its own; and how long it looks for work before it
  // sleeps. Both for machines that are the server's alone.
  bool pin_workers = false;
  Duration worker_spin{};
  // The highest instruction set to use. kAuto is best but for comparisons.
  Isa max_isa = Isa::kAuto;

  // The largest request and reply message. At most 1 GiB, because gRPC's own
  // guard sits at twice that and protobuf counts bytes in an int.
  int64_t max_request_bytes = int64_t{256} << 20;
  int64_t max_reply_bytes = int64_t{256} << 20;
  // Admission bounds; past any of them a call is refused with QUEUE_FULL.
  // Larger queues ride out longer bursts and make the last in them wait longer.
  int64_t max_queue_tasks = 4096;
  int64_t max_queue_bytes = int64_t{1} << 30;
  Duration max_queue_wait = std::chrono::seconds(2);

  // A batch closes at this many tasks.
  int64_t max_batch_tasks = 256;
  // How long an idle worker waits for company; 0 never waits. More than 0 adds
  // latency and, as batches are ragged, rarely adds throughput.
  Duration max_batch_delay{};

  // Session budget: bytes of pages, sessions, and the idle time after which one
  // is freed.
  int64_t kv_memory_bytes = 0;
  int64_t max_sessions = 65536;
  Duration session_idle_ttl = std::chrono::hours(1);

  // A folder of published models, or one (core/layer/layer_store.h); empty: no
  // layers.
  std::string layers_folder;
  // Which of their layers are loaded at the start: "all", "none" or names, each
  // after a comma.
  std::string load_layers = "all";
  // In which form their weights are kept; kUnspecified: as the files have them.
  WeightFormat layer_weights = WeightFormat::kUnspecified;
  int64_t max_layer_bytes = int64_t{8} << 30;
  // Whether clients may load and unload layers.
  bool layer_loading = false;

  // Who may have how much (server/tenant_file.h); empty: nobody is named. Then
  // what a tenant may have that has no line there: bytes of pages, sessions,
  // and how much of the queue's bounds; 0: no bound.
  std::string tenants_file;
  int64_t tenant_kv_memory_bytes = 0;
  int64_t tenant_max_sessions = 0;
  double tenant_queue_share = 0.5;

  // After SIGTERM: how long to accept calls while not ready, so that load
  // balancers can look away; 0 skips this.
  Duration drain_delay = std::chrono::seconds(5);
  // Then: how long running calls may take before the process ends anyway.
  Duration drain_timeout = std::chrono::seconds(30);

  // The least severe lines that are written, and their form.
  LogLevel log_level = LogLevel::kInfo;
  LogFormat log_format = LogFormat::kText;
};

// The defaults for a machine or cgroup with that much memory: kv_memory_bytes
// is half of it, max_queue_bytes and grpc_memory_bytes at most a quarter each.
ServerConfig DefaultConfig(int64_t usable_memory_bytes);

// Rules between settings: INVALID_ARGUMENT that names both and their values.
absl::Status CheckConfig(const ServerConfig& config);

// The effective settings in the form that --config reads.
std::string PrintConfig(const ServerConfig& config);

}  // namespace attn
