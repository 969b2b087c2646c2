#include "client/cpp/attnctl/stats_report.h"

#include <cmath>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/cpp/attnctl/json_text.h"

namespace attn::attnctl {
namespace {

constexpr double kFractions[] = {0.5, 0.9, 0.99};

// A latency histogram and what to call it.
struct Stage {
  std::string name;
  std::string metric;
  Labels labels;
};

std::vector<Stage> Stages() {
  const auto method = [](const char* name) {
    return Stage{name, "grpc_server_handling_seconds", {{"grpc_method", name}}};
  };
  return {method("Attend"),
          method("AttendBatch"),
          {"receive", "attn_receive_seconds", {}},
          {"queue wait", "attn_queue_wait_seconds", {}},
          {"compute", "attn_compute_seconds", {}},
          {"send", "attn_send_seconds", {}}};
}

std::string Number(double value) {
  return std::isnan(value) ? "-" : absl::StrFormat("%.12g", value);
}

std::string Milliseconds(double seconds) {
  constexpr double kPerSecond = 1000.0;
  return std::isnan(seconds) ? "-"
                             : absl::StrFormat("%.3f", seconds * kPerSecond);
}

// "12 completed, 0 failed"
std::string ByLabel(const MetricSet& metrics, const std::string& name,
                    const std::string& label) {
  std::string text;
  for (const auto& [value, sum] : metrics.SumBy(name, label)) {
    absl::StrAppend(&text, text.empty() ? "" : ", ", Number(sum), " ", value);
  }
  return text.empty() ? "-" : text;
}

std::string Build(const MetricSet& metrics) {
  for (const MetricSample& sample : metrics.samples()) {
    if (sample.name == "attn_build_info") {
      std::string text;
      for (const auto& [label, value] : sample.labels) {
        absl::StrAppend(&text, text.empty() ? "" : ", ", label, " ", value);
      }
      return text;
    }
  }
  return "-";
}

std::string StageTable(const MetricSet& metrics) {
  std::string text =
      absl::StrFormat("\n%-14s %10s %10s %10s %10s\n", "milliseconds", "count",
                      "p50", "p90", "p99");
  for (const Stage& stage : Stages()) {
    absl::StrAppendFormat(
        &text, "%-14s %10s", stage.name,
        Number(metrics.Sum(stage.metric + "_count", stage.labels)));
    for (const double fraction : kFractions) {
      absl::StrAppendFormat(
          &text, " %10s",
          Milliseconds(metrics.Quantile(stage.metric, fraction, stage.labels)));
    }
    text.push_back('\n');
  }
  return text;
}

std::string JsonName(std::string name) {
  for (char& symbol : name) {
    symbol = symbol == ' ' ? '_' : symbol;
  }
  return name;
}

}  // namespace

std::string RenderStats(const MetricSet& metrics) {
  const auto value = [&](const char* name) {
    return Number(metrics.Sum(name));
  };
  return absl::StrCat(
      "build          ", Build(metrics),                               //
      "\ntasks          ", value("attn_admitted_tasks_total"),         //
      " admitted: ", ByLabel(metrics, "attn_tasks_total", "outcome"),  //
      "\nrefused        ", ByLabel(metrics, "attn_refused_total", "reason"),
      "\nqueue          ", value("attn_queue_depth"), " tasks, ",  //
      value("attn_queue_bytes"), " bytes",                         //
      "\nworkers        ", value("attn_workers_busy"), " of ",     //
      value("attn_workers"), " busy",                              //
      "\nbatches        ", value("attn_batches_total"), ", ",      //
      absl::StrFormat("%.2f tasks on average",
                      metrics.Mean("attn_batch_size")),                  //
      "\nsessions       ", value("attn_sessions"), ", ",                 //
      value("attn_kv_bytes"), " KV bytes of ",                           //
      value("attn_kv_bytes_limit"), ", ",                                //
      value("attn_kv_shared_bytes"), " shared",                          //
      "\nmemory         ", value("attn_pool_bytes"), " bytes pooled, ",  //
      value("process_resident_memory_bytes"), " resident\n",             //
      StageTable(metrics));
}

std::string RenderStatsJson(const MetricSet& metrics) {
  JsonEntries entries;
  for (const char* name :
       {"attn_admitted_tasks_total", "attn_queue_depth", "attn_queue_bytes",
        "attn_workers", "attn_workers_busy", "attn_batches_total",
        "attn_sessions", "attn_kv_bytes", "attn_kv_bytes_limit",
        "attn_kv_shared_bytes", "attn_pool_bytes", "attn_inflight_bytes",
        "process_resident_memory_bytes"}) {
    entries.emplace_back(name, JsonNumber(metrics.Sum(name)));
  }
  for (const auto& [name, label] :
       {std::pair<const char*, const char*>{"attn_tasks_total", "outcome"},
        {"attn_refused_total", "reason"},
        {"attn_shed_total", "reason"},
        {"attn_sessions_closed_total", "reason"}}) {
    for (const auto& [value, sum] : metrics.SumBy(name, label)) {
      entries.emplace_back(absl::StrCat(name, ".", value), JsonNumber(sum));
    }
  }
  entries.emplace_back("batch_size_mean",
                       JsonNumber(metrics.Mean("attn_batch_size")));
  for (const Stage& stage : Stages()) {
    for (const double fraction : kFractions) {
      entries.emplace_back(
          absl::StrFormat("%s_p%.0f_seconds", JsonName(stage.name),
                          100 * fraction),
          JsonNumber(metrics.Quantile(stage.metric, fraction, stage.labels)));
    }
  }
  return JsonObject(entries);
}

}  // namespace attn::attnctl
