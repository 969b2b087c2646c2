#include "client/cpp/attnctl/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>

#include "absl/strings/str_format.h"

namespace attn::attnctl {
namespace {

constexpr int kDefaultColumns = 80;

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

// Index in the 6 x 6 x 6 cube of the 256 colours.
int CubeIndex(const Rgb& color) {
  const auto level = [](int channel) { return (channel * 5 + 127) / 255; };
  return 16 + 36 * level(color.red) + 6 * level(color.green) +
         level(color.blue);
}

bool IsBright(const Rgb& color) {
  return 299 * color.red + 587 * color.green + 114 * color.blue > 128 * 1000;
}

}  // namespace

TerminalStyle ChooseStyle(const TerminalEnvironment& environment) {
  TerminalStyle style;
  style.unicode = environment.is_tty;
  style.columns = environment.is_tty ? environment.columns : 0;
  const bool wanted =
      environment.choice == "always" ||
      (environment.choice == "auto" && environment.is_tty &&
       environment.no_color.empty() && environment.term != "dumb");
  if (wanted) {
    const bool is_24_bit = environment.color_term == "truecolor" ||
                           environment.color_term == "24bit";
    style.color =
        is_24_bit ? TerminalStyle::Color::k24Bit : TerminalStyle::Color::k256;
    style.unicode = true;
  }
  return style;
}

TerminalStyle DetectStyle(const std::string& choice) {
  TerminalEnvironment environment;
  environment.is_tty = isatty(STDOUT_FILENO) == 1;
  winsize size = {};
  const bool known =
      ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  environment.columns = known ? size.ws_col : kDefaultColumns;
  environment.no_color = Environment("NO_COLOR");
  environment.color_term = Environment("COLORTERM");
  environment.term = Environment("TERM");
  environment.choice = choice;
  return ChooseStyle(environment);
}

std::string Paint(const TerminalStyle& style, const Rgb& background) {
  if (style.color == TerminalStyle::Color::kNone) {
    return "";
  }
  const Rgb text = IsBright(background) ? Rgb{0, 0, 0} : Rgb{255, 255, 255};
  if (style.color == TerminalStyle::Color::k256) {
    return absl::StrFormat("\x1b[48;5;%d;38;5;%dm", CubeIndex(background),
                           CubeIndex(text));
  }
  return absl::StrFormat("\x1b[48;2;%d;%d;%d;38;2;%d;%d;%dm", background.red,
                         background.green, background.blue, text.red,
                         text.green, text.blue);
}

std::string Unpaint(const TerminalStyle& style) {
  return style.color == TerminalStyle::Color::kNone ? "" : "\x1b[0m";
}

}  // namespace attn::attnctl
