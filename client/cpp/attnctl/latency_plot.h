// Latency against load as an SVG picture of its own: no script, no other file,
// light or dark as the reader has it. Pure functions.
#pragma once

#include <string>
#include <vector>

namespace attn::attnctl {

struct LatencyLine {
  std::string name;                  // "p99"
  std::vector<double> milliseconds;  // One for each load.
};

struct LatencyPlot {
  std::string title = {};
  std::string load_label = {};
  std::vector<double> loads;        // Above 0, one for each measurement.
  std::vector<double> throughputs;  // Requests per second; one for each load.
  std::vector<LatencyLine> lines;   // At most 3.
};

// Both axes are logarithmic: latency grows by orders of magnitude past
// saturation. Points carry their numbers as tooltips. REQUIRES: as many values
// as loads in each line and in throughputs.
std::string RenderLatencyPlot(const LatencyPlot& plot);

}  // namespace attn::attnctl
