#include "client/cpp/attnctl/load_levels.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace attn::attnctl {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

BenchReport Report(int milliseconds) {
  BenchReport report;
  report.elapsed = absl::Seconds(2);
  report.figures.completed = 10;
  report.figures.batch_size_sum = 20;
  for (int i = 0; i < 10; ++i) {
    report.figures.latency.Record(absl::Milliseconds(milliseconds));
  }
  return report;
}

LoadLevels Levels() {
  return {.is_open_loop = false, .levels = {{1, Report(2)}, {4, Report(6)}}};
}

TEST(LoadLevelsTest, TableHasARowForEach) {
  EXPECT_EQ(
      RenderLevels(Levels()),
      "concurrency  requests/s   failed     p50 ms     p90 ms     p99 ms    "
      "batch\n"
      "1                   5.0        0      2.000      2.000      2.000     "
      "2.00\n"
      "4                   5.0        0      6.000      6.000      6.000     "
      "2.00\n");
}

TEST(LoadLevelsTest, TableSaysWhatWentWrongAtWhichLoad) {
  LoadLevels levels = Levels();
  levels.is_open_loop = true;
  levels.levels[1].report.figures.errors["UNAVAILABLE"] = 3;
  levels.levels[1].report.mismatched = 2;
  const std::string text = RenderLevels(levels);
  EXPECT_THAT(text, HasSubstr("offered/s"));
  EXPECT_THAT(text, HasSubstr("\nat 4: 2 answers had other bytes\n"));
  EXPECT_THAT(text, HasSubstr("UNAVAILABLE"));
  EXPECT_THAT(text, Not(HasSubstr("at 1:")));
}

TEST(LoadLevelsTest, JsonHasAllFiguresOfEach) {
  const std::string json = RenderLevelsJson(Levels());
  EXPECT_THAT(json, HasSubstr("{\"load\": 4, \"figures\": {"));
  EXPECT_THAT(json, HasSubstr("\"latency_p50_ms\": 6"));
}

TEST(LoadLevelsTest, PlotLeavesOutLoadsWithoutAnAnswer) {
  LoadLevels levels = Levels();
  levels.levels.push_back({8, {}});
  const LatencyPlot plot = PlotOf(levels, "title");
  EXPECT_THAT(plot.loads, ElementsAre(1, 4));
  EXPECT_THAT(plot.throughputs, ElementsAre(5, 5));
  ASSERT_EQ(plot.lines.size(), 3u);
  EXPECT_EQ(plot.lines[2].name, "p99");
  EXPECT_EQ(plot.lines[2].milliseconds.size(), 2u);
}

}  // namespace
}  // namespace attn::attnctl
