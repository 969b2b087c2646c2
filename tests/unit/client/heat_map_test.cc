#include "client/cpp/attnctl/heat_map.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace attn::attnctl {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr float kValues[] = {1.0F, 0.0F, 0.25F, 0.75F};

HeatMap Small() { return {kValues, {"he", "riverbank"}, {"he", "riverbank"}}; }

TEST(HeatMapTest, PlainMapIsNumbersUnderNames) {
  EXPECT_EQ(RenderHeatMap(Small(), {}),
            "              he river. \n"
            "he         100.0    0.0 \n"
            "riverbank   25.0   75.0 \n");
}

TEST(HeatMapTest, NotesStandAtTheEndOfTheirRows) {
  const std::string notes[] = {"first", "second"};
  const std::string text = RenderHeatMap(Small(), {}, notes);
  EXPECT_THAT(text, HasSubstr("  0.0  first\n"));
  EXPECT_THAT(text, HasSubstr(" 75.0  second\n"));
}

TEST(HeatMapTest, ColorPaintsTheLargestYellowAndEndsEachLine) {
  const TerminalStyle style = {TerminalStyle::Color::k24Bit, true, 80};
  const std::string text = RenderHeatMap(Small(), style);
  EXPECT_THAT(text, HasSubstr("\x1b[48;2;253;231;37;38;2;0;0;0m 100.0 "));
  EXPECT_THAT(text, HasSubstr("\x1b[0m\n"));
}

TEST(HeatMapTest, NarrowTerminalWithColorGetsBlocks) {
  std::vector<float> values(100 * 2, 0.01F);
  const std::vector<std::string> columns(100, "token");
  const TerminalStyle style = {TerminalStyle::Color::k256, true, 80};
  const std::string text = RenderHeatMap({values, {"a", "b"}, columns}, style);
  EXPECT_THAT(text, HasSubstr("columns 0..99"));
  EXPECT_THAT(text, Not(HasSubstr("1.0")));
}

TEST(HeatMapTest, NanAndAllZeroRowsAreDrawn) {
  const float values[] = {std::nanf(""), 0.0F};
  const TerminalStyle style = {TerminalStyle::Color::k24Bit, true, 80};
  EXPECT_THAT(RenderHeatMap({values, {"a"}, {"x", "y"}}, style),
              HasSubstr("nan"));
}

TEST(HeatMapTest, BarsAreAsLongAsTheirShare) {
  const float values[] = {0.5F, 0.0F};
  const std::string names[] = {"head 0", "head 1"};
  EXPECT_EQ(RenderBars(values, names, {}),
            "head 0 0.500 ####################\n"
            "head 1 0.000 \n");
}

TEST(HeatMapTest, StrongestComeLargestFirst) {
  const float values[] = {0.1F, 0.7F, 0.2F};
  const std::string names[] = {"a", "b", "c"};
  EXPECT_EQ(Strongest(values, names, 2), "b 70.0, c 20.0");
  EXPECT_EQ(Strongest(values, names, 9), "b 70.0, c 20.0, a 10.0");
}

TEST(HeatMapTest, FitCountsCodePoints) {
  EXPECT_EQ(Fit("é", 3, true), "  é");
  EXPECT_EQ(Fit("ééééé", 3, false), "éé.");
  EXPECT_EQ(Fit("abc", 3, false), "abc");
}

}  // namespace
}  // namespace attn::attnctl
