#include "client/cpp/attnctl/latency_plot.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"

namespace attn::attnctl {
namespace {

constexpr double kWidth = 640;
constexpr double kHeight = 400;
constexpr double kLeft = 70;
constexpr double kRight = 20;
constexpr double kTop = 70;
constexpr double kBottom = 60;
// Where there is nothing to take a range from.
constexpr double kSmallest = 1e-6;

constexpr char kStyle[] =
    "text{font:13px system-ui,sans-serif;fill:#1b1b1f}"
    ".title{font-weight:600;font-size:15px}"
    ".grid{stroke:#c9c9d2}.line{fill:none;stroke-width:2}"
    ".c0{stroke:#1d4ed8;fill:#1d4ed8}.c1{stroke:#b45309;fill:#b45309}"
    ".c2{stroke:#b91c1c;fill:#b91c1c}.line.c0,.line.c1,.line.c2{fill:none}"
    "text.c0,text.c1,text.c2{stroke:none}.ground{fill:#fdfdfd}"
    "@media(prefers-color-scheme:dark){text{fill:#ececf1}.grid{stroke:#44444f}"
    ".ground{fill:#16161a}.c0{stroke:#93b4ff;fill:#93b4ff}"
    ".c1{stroke:#fbbf24;fill:#fbbf24}.c2{stroke:#fca5a5;fill:#fca5a5}}";

std::string Escape(const std::string& text) {
  return absl::StrReplaceAll(
      text, {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"\"", "&quot;"}});
}

// From a range of values to one of pixels, by logarithm.
struct Axis {
  double low = 1;
  double high = 10;
  double begin = 0;  // Pixels.
  double end = 0;

  double Place(double value) const {
    const double share =
        std::log(std::max(value, low) / low) / std::log(high / low);
    return begin + share * (end - begin);
  }
};

// 1, 2 and 5 times powers of ten from the last below `low` to the first above
// `high`.
std::vector<double> Ticks(double low, double high) {
  std::vector<double> ticks;
  const double first = std::floor(std::log10(low));
  for (double power = std::pow(10.0, first);; power *= 10) {
    for (const double digit : {1.0, 2.0, 5.0}) {
      const double tick = digit * power;
      if (tick <= low) {
        ticks.clear();
      }
      ticks.push_back(tick);
      if (tick >= high && ticks.size() > 1) {
        return ticks;
      }
    }
  }
}

std::vector<double> LatencyTicks(const LatencyPlot& plot) {
  double low = 0;
  double high = 0;
  for (const LatencyLine& line : plot.lines) {
    for (const double value : line.milliseconds) {
      low = low == 0 ? value : std::min(low, value);
      high = std::max(high, value);
    }
  }
  return Ticks(std::max(low, kSmallest), std::max(high, kSmallest));
}

Axis LoadAxis(const std::vector<double>& loads) {
  Axis axis{.begin = kLeft, .end = kWidth - kRight};
  if (!loads.empty()) {
    axis.low = *std::min_element(loads.begin(), loads.end());
    axis.high = *std::max_element(loads.begin(), loads.end());
  }
  if (axis.high <= axis.low) {
    axis.high = 2 * axis.low;
  }
  return axis;
}

std::string Text(double x, double y, const std::string& attributes,
                 const std::string& text) {
  return absl::StrFormat("<text x=\"%.1f\" y=\"%.1f\" %s>%s</text>\n", x, y,
                         attributes, Escape(text));
}

std::string GridLine(double x1, double y1, double x2, double y2) {
  return absl::StrFormat(
      "<line class=\"grid\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" "
      "y2=\"%.1f\"/>\n",
      x1, y1, x2, y2);
}

std::string Grid(const LatencyPlot& plot, const Axis& load, const Axis& latency,
                 const std::vector<double>& ticks) {
  std::string text;
  for (const double tick : ticks) {
    const double y = latency.Place(tick);
    absl::StrAppend(&text, GridLine(load.begin, y, load.end, y),
                    Text(load.begin - 8, y + 4, "text-anchor=\"end\"",
                         absl::StrFormat("%g", tick)));
  }
  for (const double value : plot.loads) {
    const double x = load.Place(value);
    absl::StrAppend(&text, GridLine(x, latency.begin, x, latency.end),
                    Text(x, latency.begin + 18, "text-anchor=\"middle\"",
                         absl::StrFormat("%g", value)));
  }
  return text;
}

std::string Line(const LatencyPlot& plot, size_t index, const Axis& load,
                 const Axis& latency) {
  const LatencyLine& line = plot.lines[index];
  std::string points;
  std::string dots;
  for (size_t i = 0; i < plot.loads.size(); ++i) {
    const double x = load.Place(plot.loads[i]);
    const double y = latency.Place(line.milliseconds[i]);
    absl::StrAppendFormat(&points, "%.1f,%.1f ", x, y);
    absl::StrAppendFormat(
        &dots,
        "<circle class=\"c%d\" cx=\"%.1f\" cy=\"%.1f\" r=\"4\"><title>%s %.3f "
        "ms at %g, %.1f requests/s</title></circle>\n",
        index, x, y, Escape(line.name), line.milliseconds[i], plot.loads[i],
        plot.throughputs[i]);
  }
  // Right of the words "latency, ms".
  const double x = kLeft + 40 + 60 * static_cast<double>(index);
  return absl::StrFormat(
      "<polyline class=\"line c%d\" points=\"%s\"/>\n%s%s", index, points, dots,
      Text(x, kTop - 18, absl::StrFormat("class=\"c%d\"", index), line.name));
}

}  // namespace

std::string RenderLatencyPlot(const LatencyPlot& plot) {
  const std::vector<double> ticks = LatencyTicks(plot);
  const Axis load = LoadAxis(plot.loads);
  const Axis latency{.low = ticks.front(),
                     .high = ticks.back(),
                     .begin = kHeight - kBottom,
                     .end = kTop};
  std::string svg = absl::StrFormat(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %g %g\" "
      "role=\"img\" aria-label=\"%s\">\n<style>%s</style>\n"
      "<rect class=\"ground\" width=\"100%%\" height=\"100%%\"/>\n",
      kWidth, kHeight, Escape(plot.title), kStyle);
  absl::StrAppend(&svg, Text(kLeft, 28, "class=\"title\"", plot.title),
                  Grid(plot, load, latency, ticks),
                  Text((load.begin + load.end) / 2, kHeight - 16,
                       "text-anchor=\"middle\"", plot.load_label),
                  Text(8, kTop - 18, "", "latency, ms"));
  for (size_t i = 0; i < plot.lines.size(); ++i) {
    absl::StrAppend(&svg, Line(plot, i, load, latency));
  }
  return svg + "</svg>\n";
}

}  // namespace attn::attnctl
