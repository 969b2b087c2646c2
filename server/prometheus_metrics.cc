#include "server/prometheus_metrics.h"

#include <prometheus/text_serializer.h>

#include <utility>

#include "server/prometheus_families.h"
#include "server/prometheus_layers.h"
#include "server/prometheus_process.h"
#include "server/prometheus_tenants.h"

namespace attn {
namespace {

template <typename Enum>
size_t Index(Enum value) {
  return static_cast<size_t>(value);
}

int64_t ValueOf(const auto* metric) {
  return static_cast<int64_t>(metric->Value());
}

}  // namespace

PrometheusMetrics::PrometheusMetrics(Options options)
    : options_(std::move(options)),
      registry_(std::make_unique<prometheus::Registry>()),
      engine_series_(AddEngineSeries(*registry_)),
      transfer_series_(AddTransferSeries(*registry_)),
      session_series_(
          AddSessionSeries(*registry_, {.kv_bytes = options_.kv_bytes_limit,
                                        .sessions = options_.sessions_limit})),
      access_series_(AddAccessSeries(*registry_)) {
  for (int i = 0; i < kNumRpcMethods; ++i) {
    rpc_series_[Index(i)] = AddRpcSeries(*registry_, static_cast<RpcMethod>(i));
  }
  AddGauge(*registry_, {"attn_build_info", "What this server is built of."},
           {{"version", options_.version},
            {"onednn", options_.onednn},
            {"isa", options_.isa}})
      ->Set(1);
  engine_series_.workers->Set(options_.workers);
  AddGauge(*registry_, {"attn_memory_bytes_limit",
                        "Memory that the cgroup or the machine allows."})
      ->Set(static_cast<double>(options_.memory_bytes_limit));
  pool_bytes_ = AddGauge(
      *registry_, {"attn_pool_bytes", "Bytes that the buffer pool holds."});
  shared_memory_bytes_ = AddGauge(
      *registry_,
      {"attn_shared_memory_bytes", "Bytes of memory shared with clients."});
  draining_ =
      AddGauge(*registry_, {"attn_draining", "1 once the server drains."});
}

PrometheusMetrics::~PrometheusMetrics() = default;

void PrometheusMetrics::TaskAdmitted() { engine_series_.admitted->Increment(); }

void PrometheusMetrics::TaskRefused(Reason reason) {
  engine_series_.refused.For(ReasonName(reason)).Increment();
}

void PrometheusMetrics::TaskShed(Reason reason) {
  engine_series_.shed.For(ReasonName(reason)).Increment();
}

void PrometheusMetrics::TaskFinished(Outcome outcome, TaskKind kind,
                                     const TaskTimes& times) {
  engine_series_.queue_wait_seconds[Index(kind)]->Observe(
      ToSeconds(times.queue_wait));
  // A task that never ran has no compute time.
  if (outcome == Outcome::kCompleted || times.compute > Duration::zero()) {
    engine_series_.compute_seconds[Index(kind)]->Observe(
        ToSeconds(times.compute));
  }
  engine_series_.tasks[Index(outcome)]->Increment();
}

void PrometheusMetrics::BatchClosed(const BatchFacts& facts) {
  engine_series_.batch_size->Observe(static_cast<double>(facts.num_tasks));
  engine_series_.batch_tokens->Observe(
      static_cast<double>(facts.num_query_tokens));
  engine_series_.batch_form_seconds->Observe(ToSeconds(facts.form_time));
  engine_series_.batches[Index(facts.closed_by)]->Increment();
}

void PrometheusMetrics::ProjectionRan(Duration time) {
  engine_series_.projection_seconds->Observe(ToSeconds(time));
}

void PrometheusMetrics::ForwardTokens(std::string_view layer,
                                      int64_t num_tokens) {
  layer_tokens_.Add(layer, num_tokens);
}

void PrometheusMetrics::QueueChanged(int64_t depth, int64_t bytes) {
  engine_series_.queue_depth->Set(static_cast<double>(depth));
  engine_series_.queue_bytes->Set(static_cast<double>(bytes));
}

void PrometheusMetrics::InflightBytesChanged(int64_t bytes) {
  engine_series_.inflight_bytes->Set(static_cast<double>(bytes));
}

void PrometheusMetrics::WorkersBusyChanged(int64_t delta) {
  engine_series_.workers_busy->Increment(static_cast<double>(delta));
}

void PrometheusMetrics::SessionClosed(SessionEnd end) {
  session_series_.closed[Index(end)]->Increment();
}

void PrometheusMetrics::SetDraining(bool draining) {
  draining_->Set(draining ? 1 : 0);
}

void PrometheusMetrics::AccessDenied(AccessPoint point, int grpc_code) {
  constexpr int kPermissionDenied = 7;
  access_series_.denied[Index(point)][grpc_code == kPermissionDenied ? 1 : 0]
      ->Increment();
}

void PrometheusMetrics::CredentialsReloaded(CredentialFiles files, bool taken) {
  access_series_.reloads[Index(files)][taken ? 0 : 1]->Increment();
}

void PrometheusMetrics::RpcStarted(RpcMethod method) {
  rpc_series_[Index(method)].started->Increment();
}

void PrometheusMetrics::RpcFinished(RpcMethod method, int grpc_code,
                                    const RpcFacts& facts) {
  if (FactsOf(method).carries_tensors) {
    transfer_series_.request_bytes->Observe(
        static_cast<double>(facts.request_bytes));
    transfer_series_.response_bytes->Observe(
        static_cast<double>(facts.response_bytes));
  }
  const RpcSeries& series = rpc_series_[Index(method)];
  series.handling_seconds->Observe(ToSeconds(facts.handling));
  const bool is_code = grpc_code >= 0 && grpc_code < kNumGrpcCodes;
  series.handled[Index(is_code ? grpc_code : kUnknownGrpcCode)]->Increment();
}

void PrometheusMetrics::MessageReceived(Duration duration) {
  transfer_series_.receive_seconds->Observe(ToSeconds(duration));
}

void PrometheusMetrics::MessageSent(Duration duration) {
  transfer_series_.send_seconds->Observe(ToSeconds(duration));
}

std::string PrometheusMetrics::Render() const {
  if (options_.pool_bytes) {
    pool_bytes_->Set(static_cast<double>(options_.pool_bytes()));
  }
  if (options_.shared_memory_bytes) {
    shared_memory_bytes_->Set(
        static_cast<double>(options_.shared_memory_bytes()));
  }
  if (options_.certificate_expiry_seconds) {
    access_series_.certificate_expiry_seconds->Set(
        static_cast<double>(options_.certificate_expiry_seconds()));
  }
  if (options_.sessions) {
    const SessionTotals totals = options_.sessions();
    session_series_.sessions->Set(static_cast<double>(totals.sessions));
    session_series_.kv_bytes->Set(static_cast<double>(totals.kv_bytes));
    session_series_.kv_shared_bytes->Set(
        static_cast<double>(totals.kv_shared_bytes));
  }
  std::vector<prometheus::MetricFamily> families = registry_->Collect();
  for (auto& family : ProcessFamilies(ReadProcessFacts(options_.proc_root))) {
    families.push_back(std::move(family));
  }
  if (options_.tenants) {
    for (auto& family : TenantFamilies(options_.tenants())) {
      families.push_back(std::move(family));
    }
  }
  for (auto& family :
       LayerFamilies(options_.layers ? options_.layers() : LayerTotals{},
                     options_.layer_bytes_limit, layer_tokens_)) {
    families.push_back(std::move(family));
  }
  return prometheus::TextSerializer().Serialize(families);
}

EngineTotals PrometheusMetrics::Totals() const {
  const auto tasks = [this](Outcome outcome) {
    return ValueOf(engine_series_.tasks[Index(outcome)]);
  };
  EngineTotals totals;
  totals.admitted = ValueOf(engine_series_.admitted);
  totals.completed = tasks(Outcome::kCompleted);
  totals.failed = tasks(Outcome::kFailed);
  totals.shed = tasks(Outcome::kShed);
  totals.expired = tasks(Outcome::kExpired);
  totals.cancelled = tasks(Outcome::kCancelled);
  for (const auto* batches : engine_series_.batches) {
    totals.batches += ValueOf(batches);
  }
  totals.refused = static_cast<int64_t>(engine_series_.refused.Total());
  totals.queue_depth = ValueOf(engine_series_.queue_depth);
  totals.queue_bytes = ValueOf(engine_series_.queue_bytes);
  totals.inflight_bytes = ValueOf(engine_series_.inflight_bytes);
  totals.workers_busy = ValueOf(engine_series_.workers_busy);
  return totals;
}

LoadDistributions PrometheusMetrics::Distributions() const {
  LoadDistributions now;
  for (int i = 0; i < kNumRpcMethods; ++i) {
    const RpcMethodFacts& facts = FactsOf(static_cast<RpcMethod>(i));
    if (facts.carries_tensors && facts.type == "unary") {
      now.call_seconds.Add(
          ReadDistribution(*rpc_series_[Index(i)].handling_seconds));
    }
  }
  for (const auto* kind : engine_series_.queue_wait_seconds) {
    now.queue_wait_seconds.Add(ReadDistribution(*kind));
  }
  for (const auto* kind : engine_series_.compute_seconds) {
    now.compute_seconds.Add(ReadDistribution(*kind));
  }
  now.batch_size = ReadDistribution(*engine_series_.batch_size);
  now.batch_tokens = ReadDistribution(*engine_series_.batch_tokens);
  now.request_bytes = ReadDistribution(*transfer_series_.request_bytes);
  now.response_bytes = ReadDistribution(*transfer_series_.response_bytes);
  return now;
}

}  // namespace attn
