#include "client/cpp/attnctl/latency_plot.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace attn::attnctl {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

LatencyPlot Plot() {
  return {.title = "a < b & \"c\"",
          .load_label = "calls under way",
          .loads = {1, 10, 100},
          .throughputs = {100, 900, 1000},
          .lines = {{"p50", {1, 1, 10}}, {"p99", {1, 10, 100}}}};
}

size_t Count(const std::string& text, const std::string& part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string::npos;
       at = text.find(part, at + part.size())) {
    ++count;
  }
  return count;
}

// The chart's corners are (70, 340) and (620, 70); loads 1, 10 and 100 are
// equally far apart, latencies 1, 10 and 100 as well.
TEST(LatencyPlotTest, BothAxesAreLogarithmic) {
  const std::string svg = RenderLatencyPlot(Plot());
  EXPECT_THAT(svg, HasSubstr("points=\"70.0,340.0 345.0,340.0 620.0,205.0 \""));
  EXPECT_THAT(svg, HasSubstr("points=\"70.0,340.0 345.0,205.0 620.0,70.0 \""));
}

TEST(LatencyPlotTest, PointsSayTheirNumbers) {
  EXPECT_THAT(RenderLatencyPlot(Plot()),
              HasSubstr("<title>p99 100.000 ms at 100, 1000.0 requests/s"));
}

TEST(LatencyPlotTest, TicksAreOneTwoFiveAndTheLoads) {
  const std::string svg = RenderLatencyPlot(Plot());
  for (const char* tick : {">2<", ">5<", ">20<", ">50<"}) {
    EXPECT_THAT(svg, HasSubstr(tick));
  }
  EXPECT_THAT(svg, Not(HasSubstr(">200<")));
  EXPECT_EQ(Count(svg, ">10<"), 2u);
}

TEST(LatencyPlotTest, TextIsEscapedAndNothingIsOutside) {
  const std::string svg = RenderLatencyPlot(Plot());
  EXPECT_EQ(Count(svg, "a &lt; b &amp; &quot;c&quot;"), 2u);
  EXPECT_EQ(Count(svg, "http"), 1u);  // The name of SVG itself.
  EXPECT_THAT(svg, HasSubstr("prefers-color-scheme:dark"));
}

TEST(LatencyPlotTest, OneLevelOrNoneIsDrawnToo) {
  const LatencyPlot one = {
      .loads = {8}, .throughputs = {1}, .lines = {{"p50", {5}}}};
  EXPECT_THAT(RenderLatencyPlot(one), HasSubstr("points=\"70.0,340.0 \""));
  for (const LatencyPlot& plot : {one, LatencyPlot{}}) {
    EXPECT_THAT(RenderLatencyPlot(plot), Not(HasSubstr("nan")));
    EXPECT_THAT(RenderLatencyPlot(plot), Not(HasSubstr("inf")));
  }
}

}  // namespace
}  // namespace attn::attnctl
