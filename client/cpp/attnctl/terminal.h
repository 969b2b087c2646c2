// What the terminal can show. Decided once from the environment; everything
// that prints takes the result. Plain values.
#pragma once

#include <cstdint>
#include <string>

namespace attn::attnctl {

// 24-bit colour; each channel 0..255.
struct Rgb {
  int red = 0;
  int green = 0;
  int blue = 0;
};

struct TerminalStyle {
  enum class Color { kNone, k256, k24Bit };
  Color color = Color::kNone;
  bool unicode = false;  // Block characters; else ASCII.
  int columns = 0;       // 0: not a terminal, any width.
};

// What the decision rests on.
struct TerminalEnvironment {
  bool is_tty = false;
  int columns = 80;             // Of the terminal.
  std::string no_color = {};    // NO_COLOR: not empty means no colour.
  std::string color_term = {};  // COLORTERM
  std::string term = {};        // TERM
  std::string choice = "auto";  // --color: auto, always or never.
};

TerminalStyle ChooseStyle(const TerminalEnvironment& environment);

// For stdout; `choice` as in TerminalEnvironment.
TerminalStyle DetectStyle(const std::string& choice);

// The escape sequence for `background` with black or white text on it,
// whichever reads better; "" without colour.
std::string Paint(const TerminalStyle& style, const Rgb& background);

// The escape sequence that ends Paint; "" without colour.
std::string Unpaint(const TerminalStyle& style);

}  // namespace attn::attnctl
