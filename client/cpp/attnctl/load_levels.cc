#include "client/cpp/attnctl/load_levels.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "client/cpp/attnctl/json_text.h"
#include "client/cpp/attnctl/load_text.h"
#include "client/cpp/attnctl/rate.h"

namespace attn::attnctl {
namespace {

double Throughput(const BenchReport& report) {
  return PerSecond(static_cast<double>(report.figures.completed),
                   report.elapsed);
}

double Milliseconds(const LoadLevel& level, double fraction) {
  return absl::ToDoubleMilliseconds(
      level.report.figures.latency.Percentile(fraction));
}

}  // namespace

std::string RenderLevels(const LoadLevels& levels) {
  std::string text = absl::StrFormat(
      "%-12s %10s %8s %10s %10s %10s %8s\n",
      levels.is_open_loop ? "offered/s" : "concurrency", "requests/s", "failed",
      "p50 ms", "p90 ms", "p99 ms", "batch");
  for (const LoadLevel& level : levels.levels) {
    absl::StrAppendFormat(
        &text, "%-12.6g %10.1f %8d %10.3f %10.3f %10.3f %8.2f\n", level.load,
        Throughput(level.report), level.report.figures.failed,
        Milliseconds(level, 0.5), Milliseconds(level, 0.9),
        Milliseconds(level, 0.99), level.report.figures.mean_batch_size());
  }
  for (const LoadLevel& level : levels.levels) {
    if (level.report.mismatched > 0) {
      absl::StrAppendFormat(&text, "\nat %g: %d answers had other bytes\n",
                            level.load, level.report.mismatched);
    }
    const std::string errors = RenderErrors(level.report.figures);
    if (!errors.empty()) {
      absl::StrAppendFormat(&text, "\nat %g:%s", level.load, errors);
    }
  }
  return text;
}

std::string RenderLevelsJson(const LoadLevels& levels) {
  std::vector<std::string> objects;
  for (const LoadLevel& level : levels.levels) {
    objects.push_back(absl::StrCat("{\"load\": ", JsonNumber(level.load),
                                   ", \"figures\": ", RenderJson(level.report),
                                   "}"));
  }
  return JsonObject(
      {{"is_open_loop", levels.is_open_loop ? "true" : "false"},
       {"levels", absl::StrCat("[", absl::StrJoin(objects, ","), "]")}});
}

LatencyPlot PlotOf(const LoadLevels& levels, const std::string& title) {
  LatencyPlot plot;
  plot.title = title;
  plot.load_label =
      levels.is_open_loop ? "calls offered per second" : "calls under way";
  plot.lines = {{"p50", {}}, {"p90", {}}, {"p99", {}}};
  for (const LoadLevel& level : levels.levels) {
    if (level.report.figures.latency.count() == 0) {
      continue;
    }
    plot.loads.push_back(level.load);
    plot.lines[0].milliseconds.push_back(Milliseconds(level, 0.5));
    plot.lines[1].milliseconds.push_back(Milliseconds(level, 0.9));
    plot.lines[2].milliseconds.push_back(Milliseconds(level, 0.99));
    plot.throughputs.push_back(Throughput(level.report));
  }
  return plot;
}

}  // namespace attn::attnctl
