#include "client/cpp/attnctl/live_view.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/cpp/attnctl/byte_size.h"
#include "client/cpp/attnctl/rate.h"
#include "client/cpp/attnctl/session_view.h"

namespace attn::attnctl {
namespace {

constexpr double kFractions[] = {0.5, 0.9, 0.99};
constexpr double kMillisecondsPerSecond = 1000.0;

std::string Rates(const LiveFrame& frame) {
  const auto rate = [&](const char* name, const Labels& labels = {}) {
    return PerSecond(frame.metrics.Sum(name, labels), frame.interval);
  };
  return absl::StrFormat(
      "rates          %.1f calls/s, %.1f tasks/s, %.1f refused/s, in %s/s, "
      "out %s/s\n",
      rate("grpc_server_handled_total"),
      rate("attn_tasks_total", {{"outcome", "completed"}}),
      rate("attn_refused_total"), BytesText(rate("attn_request_bytes_sum")),
      BytesText(rate("attn_response_bytes_sum")));
}

std::string Queue(const MetricSet& metrics) {
  const double batch = metrics.Mean("attn_batch_size");
  return absl::StrFormat(
      "queue          %.0f tasks, %s; workers %.0f of %.0f busy; %s tasks a "
      "batch%s\n",
      metrics.Sum("attn_queue_depth"),
      BytesText(metrics.Sum("attn_queue_bytes")),
      metrics.Sum("attn_workers_busy"), metrics.Sum("attn_workers"),
      std::isnan(batch) ? "-" : absl::StrFormat("%.2f", batch),
      metrics.Sum("attn_draining") > 0 ? "; draining" : "");
}

std::string Memory(const MetricSet& metrics) {
  const double used = metrics.Sum("attn_kv_bytes");
  const double limit = metrics.Sum("attn_kv_bytes_limit");
  constexpr double kPercent = 100.0;
  return absl::StrFormat(
      "sessions       %.0f; KV memory %s of %s (%.1f%%), %s of it shared\n",
      metrics.Sum("attn_sessions"), BytesText(used), BytesText(limit),
      limit > 0 ? kPercent * used / limit : 0.0,
      BytesText(metrics.Sum("attn_kv_shared_bytes")));
}

// A row of percentiles; nothing where nothing was observed.
std::string Latency(const MetricSet& metrics, const std::string& name,
                    const std::string& metric, const Labels& labels) {
  const double count = metrics.Sum(metric + "_count", labels);
  if (count <= 0) {
    return "";
  }
  std::string row = absl::StrFormat("%-14s %8.0f", name, count);
  for (const double fraction : kFractions) {
    absl::StrAppendFormat(
        &row, " %10.3f",
        kMillisecondsPerSecond * metrics.Quantile(metric, fraction, labels));
  }
  return row + "\n";
}

std::string Latencies(const MetricSet& metrics) {
  std::string rows;
  const std::string handling = "grpc_server_handling_seconds";
  for (const auto& [method, count] :
       metrics.SumBy(handling + "_count", "grpc_method")) {
    rows += Latency(metrics, method, handling, {{"grpc_method", method}});
  }
  rows += Latency(metrics, "queue wait", "attn_queue_wait_seconds", {});
  rows += Latency(metrics, "compute", "attn_compute_seconds", {});
  return absl::StrFormat("\n%-14s %8s %10s %10s %10s\n%s", "milliseconds",
                         "count", "p50", "p90", "p99", rows);
}

std::string Sessions(const LiveFrame& frame) {
  const std::vector<client::Session> largest = Largest(frame);
  return largest.empty() ? "" : "\n" + RenderSessions(largest);
}

}  // namespace

std::vector<client::Session> Largest(const LiveFrame& frame) {
  std::vector<client::Session> largest = frame.sessions;
  std::sort(largest.begin(), largest.end(), [](const auto& a, const auto& b) {
    return a.kv_bytes != b.kv_bytes ? a.kv_bytes > b.kv_bytes
                                    : a.session_id < b.session_id;
  });
  largest.resize(std::min(largest.size(), frame.max_sessions));
  return largest;
}

std::string RenderLive(const LiveFrame& frame) {
  return absl::StrCat(
      frame.is_first ? "since the server's start"
                     : absl::StrFormat("over %.1f s",
                                       absl::ToDoubleSeconds(frame.interval)),
      "\n", Rates(frame), Queue(frame.metrics), Memory(frame.metrics),
      Latencies(frame.metrics), Sessions(frame));
}

}  // namespace attn::attnctl
