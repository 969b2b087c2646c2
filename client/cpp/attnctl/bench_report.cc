#include "client/cpp/attnctl/bench_report.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/cpp/attnctl/json_text.h"

namespace attn::attnctl {
namespace {

constexpr std::pair<const char*, double> kPercentiles[] = {
    {"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p99.9", 0.999}};

double PerSecond(double amount, absl::Duration elapsed) {
  const double seconds = absl::ToDoubleSeconds(elapsed);
  return seconds > 0 ? amount / seconds : 0.0;
}

double MeanBatchSize(const LoadFigures& figures) {
  return figures.completed == 0
             ? 0.0
             : figures.batch_size_sum / static_cast<double>(figures.completed);
}

std::string LatencyRow(const std::string& name,
                       const LatencyHistogram& latency) {
  std::string row = absl::StrFormat("%-16s", name);
  for (const auto& [label, fraction] : kPercentiles) {
    absl::StrAppendFormat(
        &row, " %10.3f",
        absl::ToDoubleMilliseconds(latency.Percentile(fraction)));
  }
  absl::StrAppendFormat(&row, " %10.3f %10.3f\n",
                        absl::ToDoubleMilliseconds(latency.max()),
                        absl::ToDoubleMilliseconds(latency.mean()));
  return row;
}

std::string LatencyTable(const LoadFigures& figures) {
  std::string text = absl::StrFormat("\n%-16s", "milliseconds");
  for (const auto& [label, fraction] : kPercentiles) {
    absl::StrAppendFormat(&text, " %10s", label);
  }
  absl::StrAppendFormat(&text, " %10s %10s\n", "max", "mean");
  return absl::StrCat(text, LatencyRow("latency", figures.latency),
                      LatencyRow("server queue", figures.server_queue),
                      LatencyRow("server compute", figures.server_compute));
}

using Entries = std::vector<std::pair<std::string, std::string>>;

void AddLatency(const std::string& name, const LatencyHistogram& latency,
                Entries& entries) {
  constexpr std::pair<const char*, double> kNames[] = {
      {"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p999", 0.999}};
  for (const auto& [label, fraction] : kNames) {
    entries.emplace_back(
        absl::StrCat(name, "_", label, "_ms"),
        JsonNumber(absl::ToDoubleMilliseconds(latency.Percentile(fraction))));
  }
  entries.emplace_back(name + "_max_ms",
                       JsonNumber(absl::ToDoubleMilliseconds(latency.max())));
  entries.emplace_back(name + "_mean_ms",
                       JsonNumber(absl::ToDoubleMilliseconds(latency.mean())));
}

}  // namespace

std::string RenderTable(const BenchReport& report) {
  const LoadFigures& figures = report.figures;
  constexpr double kMega = 1e6;
  std::string text;
  if (report.stopped_early) {
    text = "stopped early; the figures so far:\n";
  }
  absl::StrAppendFormat(
      &text, "requests         %d completed, %d failed in %s\n",
      figures.completed, figures.failed, absl::FormatDuration(report.elapsed));
  absl::StrAppendFormat(
      &text, "throughput       %.1f requests/s\n",
      PerSecond(static_cast<double>(figures.completed), report.elapsed));
  absl::StrAppendFormat(
      &text,
      "tensor bytes     %.1f MB sent (%.1f MB/s), %.1f MB received (%.1f "
      "MB/s)\n",
      static_cast<double>(figures.sent_bytes) / kMega,
      PerSecond(static_cast<double>(figures.sent_bytes) / kMega,
                report.elapsed),
      static_cast<double>(figures.received_bytes) / kMega,
      PerSecond(static_cast<double>(figures.received_bytes) / kMega,
                report.elapsed));
  absl::StrAppendFormat(&text, "server batch     %.2f tasks on average\n",
                        MeanBatchSize(figures));
  absl::StrAppend(&text, LatencyTable(figures));
  if (!figures.errors.empty()) {
    text.append("\nerrors\n");
  }
  for (const auto& [name, count] : figures.errors) {
    absl::StrAppendFormat(&text, "  %-40s %d\n", name, count);
  }
  if (report.verified > 0) {
    absl::StrAppendFormat(&text,
                          "\nverify           %d sent again, %d with other "
                          "bytes\n",
                          report.verified, report.mismatched);
  }
  return text;
}

std::string RenderJson(const BenchReport& report) {
  const LoadFigures& figures = report.figures;
  Entries entries = {
      {"requests_completed", absl::StrCat(figures.completed)},
      {"requests_failed", absl::StrCat(figures.failed)},
      {"elapsed_seconds", JsonNumber(absl::ToDoubleSeconds(report.elapsed))},
      {"requests_per_second",
       JsonNumber(
           PerSecond(static_cast<double>(figures.completed), report.elapsed))},
      {"sent_tensor_bytes", absl::StrCat(figures.sent_bytes)},
      {"received_tensor_bytes", absl::StrCat(figures.received_bytes)},
      {"mean_batch_size", JsonNumber(MeanBatchSize(figures))},
      {"stopped_early", report.stopped_early ? "1" : "0"},
      {"verified", absl::StrCat(report.verified)},
      {"mismatched", absl::StrCat(report.mismatched)}};
  AddLatency("latency", figures.latency, entries);
  AddLatency("server_queue", figures.server_queue, entries);
  AddLatency("server_compute", figures.server_compute, entries);
  for (const auto& [name, count] : figures.errors) {
    entries.emplace_back("errors: " + name, absl::StrCat(count));
  }
  return JsonObject(entries);
}

}  // namespace attn::attnctl
