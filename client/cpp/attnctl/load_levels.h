// A bench over several loads, from light to heavy: one report for each, as a
// table, as JSON and as a picture of latency against load. Pure functions.
#pragma once

#include <string>
#include <vector>

#include "client/cpp/attnctl/bench_report.h"
#include "client/cpp/attnctl/latency_plot.h"

namespace attn::attnctl {

struct LoadLevel {
  double load = 0;  // Calls under way, or calls offered per second.
  BenchReport report;
};

struct LoadLevels {
  bool is_open_loop = false;  // Says what `load` is.
  std::vector<LoadLevel> levels = {};
};

// One row for each level. Ends in a newline.
std::string RenderLevels(const LoadLevels& levels);

// {"levels": [...]}, each as RenderJson has it, with its "load".
std::string RenderLevelsJson(const LoadLevels& levels);

// Percentiles over load; levels at which nothing completed are left out.
LatencyPlot PlotOf(const LoadLevels& levels, const std::string& title);

}  // namespace attn::attnctl
