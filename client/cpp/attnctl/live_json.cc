#include "client/cpp/attnctl/live_json.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/cpp/attnctl/json_text.h"
#include "client/cpp/attnctl/rate.h"

namespace attn::attnctl {
namespace {

constexpr double kMillisecondsPerSecond = 1000.0;

std::string Rate(const LiveFrame& frame, const std::string& name,
                 const Labels& labels = {}) {
  return JsonNumber(PerSecond(frame.metrics.Sum(name, labels), frame.interval));
}

std::string Gauge(const LiveFrame& frame, const std::string& name) {
  return JsonNumber(frame.metrics.Sum(name));
}

std::string Latency(const MetricSet& metrics, const std::string& histogram,
                    const Labels& labels = {}) {
  const auto quantile = [&](double fraction) {
    return JsonNumber(kMillisecondsPerSecond *
                      metrics.Quantile(histogram, fraction, labels));
  };
  return JsonLine(
      {{"count", JsonNumber(metrics.Sum(histogram + "_count", labels))},
       {"p50_ms", quantile(0.5)},
       {"p90_ms", quantile(0.9)},
       {"p99_ms", quantile(0.99)}});
}

std::string Methods(const MetricSet& metrics) {
  const std::string handling = "grpc_server_handling_seconds";
  JsonEntries methods;
  for (const auto& [method, count] :
       metrics.SumBy(handling + "_count", "grpc_method")) {
    if (count > 0) {
      methods.emplace_back(
          method, Latency(metrics, handling, {{"grpc_method", method}}));
    }
  }
  return JsonLine(methods);
}

std::string LargestSessions(const LiveFrame& frame) {
  return absl::StrCat(
      "[",
      absl::StrJoin(
          Largest(frame), ", ",
          [](std::string* out, const client::Session& session) {
            absl::StrAppend(
                out, JsonLine({{"session_id", JsonString(session.session_id)},
                               {"kv_bytes", absl::StrCat(session.kv_bytes)}}));
          }),
      "]");
}

}  // namespace

std::string RenderLiveJson(const LiveFrame& frame) {
  const MetricSet& metrics = frame.metrics;
  const JsonEntries entries = {
      {"since_start", frame.is_first ? "true" : "false"},
      {"interval_seconds", JsonNumber(absl::ToDoubleSeconds(frame.interval))},
      {"calls_per_second", Rate(frame, "grpc_server_handled_total")},
      {"tasks_per_second",
       Rate(frame, "attn_tasks_total", {{"outcome", "completed"}})},
      {"refused_per_second", Rate(frame, "attn_refused_total")},
      {"request_bytes_per_second", Rate(frame, "attn_request_bytes_sum")},
      {"response_bytes_per_second", Rate(frame, "attn_response_bytes_sum")},
      {"queue_depth", Gauge(frame, "attn_queue_depth")},
      {"queue_bytes", Gauge(frame, "attn_queue_bytes")},
      {"workers", Gauge(frame, "attn_workers")},
      {"workers_busy", Gauge(frame, "attn_workers_busy")},
      {"mean_batch_size", JsonNumber(metrics.Mean("attn_batch_size"))},
      {"draining", metrics.Sum("attn_draining") > 0 ? "true" : "false"},
      {"sessions", Gauge(frame, "attn_sessions")},
      {"kv_bytes", Gauge(frame, "attn_kv_bytes")},
      {"kv_bytes_limit", Gauge(frame, "attn_kv_bytes_limit")},
      {"kv_shared_bytes", Gauge(frame, "attn_kv_shared_bytes")},
      {"methods", Methods(metrics)},
      {"queue_wait", Latency(metrics, "attn_queue_wait_seconds")},
      {"compute", Latency(metrics, "attn_compute_seconds")},
      {"largest_sessions", LargestSessions(frame)}};
  return JsonLine(entries) + "\n";
}

}  // namespace attn::attnctl
