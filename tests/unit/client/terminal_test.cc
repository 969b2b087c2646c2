#include "client/cpp/attnctl/terminal.h"

#include <gtest/gtest.h>

namespace attn::attnctl {
namespace {

using Color = TerminalStyle::Color;

TEST(TerminalTest, OnlyATerminalGetsColor) {
  EXPECT_EQ(ChooseStyle({}).color, Color::kNone);
  EXPECT_EQ(ChooseStyle({}).columns, 0);
  EXPECT_EQ(ChooseStyle({.is_tty = true}).color, Color::k256);
  EXPECT_EQ(ChooseStyle({.is_tty = true, .color_term = "truecolor"}).color,
            Color::k24Bit);
}

TEST(TerminalTest, NoColorAndDumbTerminalsAreRespected) {
  EXPECT_EQ(ChooseStyle({.is_tty = true, .no_color = "1"}).color, Color::kNone);
  EXPECT_EQ(ChooseStyle({.is_tty = true, .term = "dumb"}).color, Color::kNone);
}

TEST(TerminalTest, ExplicitChoiceWins) {
  EXPECT_EQ(ChooseStyle({.no_color = "1", .choice = "always"}).color,
            Color::k256);
  EXPECT_EQ(ChooseStyle({.is_tty = true, .choice = "never"}).color,
            Color::kNone);
}

TEST(TerminalTest, PaintIsEmptyWithoutColor) {
  EXPECT_EQ(Paint({}, {1, 2, 3}), "");
  EXPECT_EQ(Unpaint({}), "");
  EXPECT_EQ(Paint({Color::k256, true, 80}, {255, 0, 0}),
            "\x1b[48;5;196;38;5;231m");
}

}  // namespace
}  // namespace attn::attnctl
