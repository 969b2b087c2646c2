#include "client/cpp/attnctl/bench_report.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/cpp/attnctl/json_text.h"
#include "client/cpp/attnctl/latency_text.h"
#include "client/cpp/attnctl/load_text.h"
#include "client/cpp/attnctl/rate.h"

namespace attn::attnctl {
namespace {

std::string LatencyTable(const LoadFigures& figures) {
  return "\n" + RenderLatencies({{"latency", &figures.latency},
                                 {"server queue", &figures.server_queue},
                                 {"server compute", &figures.server_compute}});
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
                        figures.mean_batch_size());
  absl::StrAppend(&text, LatencyTable(figures), RenderErrors(figures));
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
  JsonEntries entries = {
      {"requests_completed", absl::StrCat(figures.completed)},
      {"requests_failed", absl::StrCat(figures.failed)},
      {"elapsed_seconds", JsonNumber(absl::ToDoubleSeconds(report.elapsed))},
      {"requests_per_second",
       JsonNumber(
           PerSecond(static_cast<double>(figures.completed), report.elapsed))},
      {"sent_tensor_bytes", absl::StrCat(figures.sent_bytes)},
      {"received_tensor_bytes", absl::StrCat(figures.received_bytes)},
      {"mean_batch_size", JsonNumber(figures.mean_batch_size())},
      {"stopped_early", report.stopped_early ? "1" : "0"},
      {"verified", absl::StrCat(report.verified)},
      {"mismatched", absl::StrCat(report.mismatched)}};
  AddLatency({"latency", &figures.latency}, entries);
  AddLatency({"server_queue", &figures.server_queue}, entries);
  AddLatency({"server_compute", &figures.server_compute}, entries);
  AddErrors(figures, entries);
  return JsonObject(entries);
}

}  // namespace attn::attnctl
