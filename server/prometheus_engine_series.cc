#include "server/prometheus_engine_series.h"

#include <span>
#include <string>

#include "server/prometheus_families.h"

namespace attn {
namespace {

constexpr std::string_view kOther = "OTHER";

// In the order of Outcome, ClosedBy and TaskKind.
constexpr std::array<std::string_view, 5> kOutcomes{
    "completed", "failed", "shed", "expired", "cancelled"};
constexpr std::array<std::string_view, 4> kClosedBy{"idle_worker", "full",
                                                    "delay", "drain"};
constexpr std::array<std::string_view, 2> kKinds{"prefill", "decode"};

// In the order of SessionEnd.
constexpr std::array<std::string_view, 2> kSessionEnds{"deleted", "expired"};

// OTHER last, as ReasonCounters wants it.
constexpr std::array<std::string_view, 4> kShedReasons{
    "QUEUE_FULL", "DEADLINE_UNREACHABLE", "DRAINING", kOther};
constexpr std::array<std::string_view, 24> kRefusedReasons{
    "INVALID_TENSOR",
    "INVALID_OPTION",
    "REQUEST_TOO_LARGE",
    "QUEUE_FULL",
    "DEADLINE_UNREACHABLE",
    "DRAINING",
    "KV_MEMORY",
    "QUOTA",
    "NOT_SERVED",
    "SESSION_NEVER_EXISTED",
    "SESSION_EXPIRED",
    "SESSION_DELETED",
    "SERVER_RESTARTED",
    "SESSION_EXISTS",
    "LENGTH_MISMATCH",
    "SPEC_MISMATCH",
    "MAX_LENGTH",
    "SNAPSHOT_DAMAGED",
    "LAYER_NOT_FOUND",
    "LAYER_NOT_LOADED",
    "LAYER_LOADED",
    "LAYER_MEMORY",
    "BAD_CHECKPOINT",
    kOther};

template <size_t Count>
void AddCounters(prometheus::Registry& registry, const FamilyText& text,
                 const std::string& label,
                 const std::array<std::string_view, Count>& values,
                 std::array<prometheus::Counter*, Count>& counters) {
  size_t i = 0;
  for (const std::string_view value : values) {
    counters[i++] = AddCounter(registry, text, {{label, std::string(value)}});
  }
}

void AddKindHistograms(prometheus::Registry& registry, const FamilyText& text,
                       std::array<prometheus::Histogram*, 2>& histograms) {
  size_t i = 0;
  for (const std::string_view kind : kKinds) {
    histograms[i++] = AddHistogram(registry, text, TimeBounds(),
                                   {{"kind", std::string(kind)}});
  }
}

ReasonCounters AddReasonCounters(prometheus::Registry& registry,
                                 const FamilyText& text,
                                 std::span<const std::string_view> reasons) {
  std::vector<std::pair<std::string_view, prometheus::Counter*>> counters;
  for (const std::string_view reason : reasons) {
    counters.emplace_back(
        reason, AddCounter(registry, text, {{"reason", std::string(reason)}}));
  }
  return ReasonCounters(std::move(counters));
}

void AddTaskSeries(prometheus::Registry& registry, EngineSeries& series) {
  series.admitted =
      AddCounter(registry, {"attn_admitted_tasks_total",
                            "Tasks that passed validation and admission."});
  AddCounters(registry, {"attn_tasks_total", "Tasks that ended, by outcome."},
              "outcome", kOutcomes, series.tasks);
  series.shed = AddReasonCounters(
      registry,
      {"attn_shed_total", "Tasks that the server dropped after admission."},
      kShedReasons);
  series.refused = AddReasonCounters(
      registry,
      {"attn_refused_total", "Requests refused at the door; not tasks."},
      kRefusedReasons);
  AddKindHistograms(registry,
                    {"attn_queue_wait_seconds",
                     "Time of a task from admission to its first work item or "
                     "its end."},
                    series.queue_wait_seconds);
  AddKindHistograms(registry,
                    {"attn_compute_seconds",
                     "Time of a task from its first work item's start to the "
                     "last one's end."},
                    series.compute_seconds);
  series.projection_seconds = AddHistogram(
      registry,
      {"attn_projection_seconds",
       "Time of one work item of a layer's projections, on one worker."},
      TimeBounds());
}

void AddBatchSeries(prometheus::Registry& registry, EngineSeries& series) {
  AddCounters(registry, {"attn_batches_total", "Batches, by what closed them."},
              "closed_by", kClosedBy, series.batches);
  series.batch_form_seconds = AddHistogram(
      registry, {"attn_batch_form_seconds", "Time to form a batch."},
      TimeBounds());
  series.batch_size =
      AddHistogram(registry, {"attn_batch_size", "Tasks in a batch."},
                   ExponentialBounds(1, 2, 11));
  series.batch_tokens =
      AddHistogram(registry, {"attn_batch_tokens", "Query tokens in a batch."},
                   ExponentialBounds(1, 4, 11));
}

void AddLevelSeries(prometheus::Registry& registry, EngineSeries& series) {
  series.queue_depth =
      AddGauge(registry, {"attn_queue_depth", "Tasks that wait."});
  series.queue_bytes = AddGauge(
      registry, {"attn_queue_bytes", "Bytes that waiting tasks hold."});
  series.inflight_bytes = AddGauge(
      registry,
      {"attn_inflight_bytes", "Bytes that waiting and running tasks hold."});
  series.workers = AddGauge(registry, {"attn_workers", "Compute threads."});
  series.workers_busy =
      AddGauge(registry, {"attn_workers_busy", "Compute threads at work."});
}

}  // namespace

ReasonCounters::ReasonCounters(
    std::vector<std::pair<std::string_view, prometheus::Counter*>> counters)
    : counters_(std::move(counters)) {}

prometheus::Counter& ReasonCounters::For(std::string_view reason) const {
  for (const auto& [name, counter] : counters_) {
    if (name == reason) return *counter;
  }
  return *counters_.back().second;
}

double ReasonCounters::Total() const {
  double total = 0;
  for (const auto& [name, counter] : counters_) total += counter->Value();
  return total;
}

EngineSeries AddEngineSeries(prometheus::Registry& registry) {
  EngineSeries series;
  AddTaskSeries(registry, series);
  AddBatchSeries(registry, series);
  AddLevelSeries(registry, series);
  return series;
}

SessionSeries AddSessionSeries(prometheus::Registry& registry,
                               const SessionBounds& bounds) {
  SessionSeries series;
  series.sessions =
      AddGauge(registry, {"attn_sessions", "Sessions that exist."});
  AddGauge(registry, {"attn_sessions_limit", "The most sessions at a time."})
      ->Set(static_cast<double>(bounds.sessions));
  series.kv_bytes =
      AddGauge(registry, {"attn_kv_bytes", "Bytes of KV pages in use."});
  AddGauge(registry, {"attn_kv_bytes_limit", "The most bytes of KV pages."})
      ->Set(static_cast<double>(bounds.kv_bytes));
  series.kv_shared_bytes = AddGauge(
      registry,
      {"attn_kv_shared_bytes", "Bytes of KV pages that sessions share."});
  AddCounters(registry, {"attn_sessions_closed_total", "Sessions that ended."},
              "reason", kSessionEnds, series.closed);
  return series;
}

}  // namespace attn
