// All metrics of the server. The engine reports into it through EngineMetrics,
// RPC handlers through server/rpc_recorder.h; /metrics renders it and /statusz
// reads its totals. Every series exists at 0 from the start, and its handle is
// kept, so that counting costs some 20 ns (a histogram 70) and no look-up.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/metrics/engine_metrics.h"
#include "core/metrics/session_metrics.h"
#include "core/tenant/tenant_table.h"
#include "server/access/access_point.h"
#include "server/distribution.h"
#include "server/layer_tokens.h"
#include "server/prometheus_access_series.h"
#include "server/prometheus_engine_series.h"
#include "server/prometheus_rpc_series.h"
#include "server/rpc_method.h"

namespace attn {

// The counters and gauges of the engine at one moment.
struct EngineTotals {
  int64_t admitted = 0;
  int64_t completed = 0;
  int64_t failed = 0;
  int64_t shed = 0;
  int64_t expired = 0;
  int64_t cancelled = 0;
  int64_t batches = 0;
  int64_t refused = 0;  // Requests at the door; not tasks.
  int64_t queue_depth = 0;
  int64_t queue_bytes = 0;
  int64_t inflight_bytes = 0;
  int64_t workers_busy = 0;
};

// What a call was when it ended.
struct RpcFacts {
  Duration handling{};
  int64_t request_bytes = 0;  // Summed over its messages.
  int64_t response_bytes = 0;
};

// What sessions hold at one moment.
struct SessionTotals {
  int64_t sessions = 0;
  int64_t kv_bytes = 0;
  int64_t kv_shared_bytes = 0;
};

// The layers that are loaded at one moment.
struct LayerTotals {
  std::vector<std::string> names{};
  int64_t bytes = 0;  // Of their packed weights.
};

// The histograms that a status page shows, over all kinds of tasks.
struct LoadDistributions {
  Distribution call_seconds;  // Unary calls that carry tensors.
  Distribution queue_wait_seconds;
  Distribution compute_seconds;
  Distribution batch_size;      // Tasks.
  Distribution batch_tokens;    // Query tokens.
  Distribution request_bytes;   // Of calls that carry tensors.
  Distribution response_bytes;  // The same.
};

// Thread-safe.
class PrometheusMetrics final : public EngineMetrics, public SessionMetrics {
 public:
  struct Options {
    // The labels of attn_build_info.
    std::string version;
    std::string onednn;
    std::string isa;
    int workers = 0;                 // The threads that really run.
    int64_t kv_bytes_limit = 0;      // --kv-memory.
    int64_t sessions_limit = 0;      // --max-sessions.
    int64_t layer_bytes_limit = 0;   // --max-layer-bytes.
    int64_t memory_bytes_limit = 0;  // Of the cgroup or machine.
    // Bytes of the buffer pool, asked at each scrape; thread-safe, and valid
    // as long as Render may be called. None: attn_pool_bytes stays 0.
    std::function<int64_t()> pool_bytes;
    // The same of memory shared with clients.
    std::function<int64_t()> shared_memory_bytes = {};
    // The same of sessions.
    std::function<SessionTotals()> sessions = {};
    // The same of layers.
    std::function<LayerTotals()> layers = {};
    // The same of tenants.
    std::function<std::vector<TenantTable::Line>()> tenants = {};
    // When the served certificate ends, in seconds since 1970; the same.
    std::function<int64_t()> certificate_expiry_seconds = {};
    std::string proc_root = "/proc";
  };

  explicit PrometheusMetrics(Options options);
  ~PrometheusMetrics() override;

  void TaskAdmitted() override;
  void TaskRefused(Reason reason) override;
  void TaskShed(Reason reason) override;
  void TaskFinished(Outcome outcome, TaskKind kind,
                    const TaskTimes& times) override;
  void BatchClosed(const BatchFacts& facts) override;
  void ProjectionRan(Duration time) override;
  void ForwardTokens(std::string_view layer, int64_t num_tokens) override;
  void QueueChanged(int64_t depth, int64_t bytes) override;
  void InflightBytesChanged(int64_t bytes) override;
  void WorkersBusyChanged(int64_t delta) override;
  void SessionClosed(SessionEnd end) override;

  // attn_draining: 1 from the first SIGTERM on.
  void SetDraining(bool draining);

  // Somebody was turned away for that code, UNAUTHENTICATED or
  // PERMISSION_DENIED; a changed file of credentials was taken or not.
  void AccessDenied(AccessPoint point, int grpc_code);
  void CredentialsReloaded(CredentialFiles files, bool taken);

  // For RpcRecorder, and MessageReceived for requests: the time to decode a
  // request and copy its tensors.
  void RpcStarted(RpcMethod method);
  void RpcFinished(RpcMethod method, int grpc_code, const RpcFacts& facts);
  void MessageReceived(Duration duration);
  void MessageSent(Duration duration);

  // The page of /metrics: text exposition format 0.0.4.
  std::string Render() const;

  EngineTotals Totals() const;
  LoadDistributions Distributions() const;

 private:
  const Options options_;
  const std::unique_ptr<prometheus::Registry> registry_;
  const EngineSeries engine_series_;
  const TransferSeries transfer_series_;
  const SessionSeries session_series_;
  const AccessSeries access_series_;
  std::array<RpcSeries, kNumRpcMethods> rpc_series_;
  LayerTokens layer_tokens_;
  prometheus::Gauge* pool_bytes_ = nullptr;
  prometheus::Gauge* shared_memory_bytes_ = nullptr;
  prometheus::Gauge* draining_ = nullptr;
};

}  // namespace attn
