#include "client/cpp/attnctl/heat_map.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace attn::attnctl {
namespace {

constexpr int kNameColumns = 12;
constexpr int kCellColumns = 7;  // " 100.0 "
constexpr int kMinCellColumns = 6;
constexpr int kBarColumns = 40;

// Dark violet over blue and green to yellow; even steps of brightness.
constexpr Rgb kRamp[] = {
    {30, 10, 50}, {60, 80, 140}, {30, 145, 140}, {95, 200, 95}, {253, 231, 37}};

Rgb RampColor(float fraction) {
  constexpr int kLast = static_cast<int>(std::size(kRamp)) - 1;
  const float clamped =
      std::isnan(fraction) ? 0.0F : std::clamp(fraction, 0.0F, 1.0F);
  const float place = clamped * kLast;
  const int below = std::min(static_cast<int>(place), kLast - 1);
  const float part = place - static_cast<float>(below);
  const auto mix = [part](int a, int b) {
    return a + static_cast<int>(std::lround(part * static_cast<float>(b - a)));
  };
  const Rgb& a = kRamp[below];
  const Rgb& b = kRamp[below + 1];
  return {mix(a.red, b.red), mix(a.green, b.green), mix(a.blue, b.blue)};
}

bool StartsCodePoint(char byte) {
  return (static_cast<unsigned char>(byte) & 0xc0) != 0x80;
}

int Width(std::string_view text) {
  return static_cast<int>(
      std::count_if(text.begin(), text.end(), StartsCodePoint));
}

// The first `width` code points.
std::string_view Prefix(std::string_view text, int width) {
  size_t end = 0;
  for (; end < text.size(); ++end) {
    if (StartsCodePoint(text[end]) && width-- == 0) {
      break;
    }
  }
  return text.substr(0, end);
}

// Columns of one cell so that a line fits, as far as numbers allow.
int CellWidth(const HeatMap& map, const TerminalStyle& style, int name_width) {
  const int count = std::max(1, static_cast<int>(map.column_names.size()));
  if (style.columns == 0) {
    return kCellColumns;
  }
  const int fitting =
      std::min((style.columns - name_width - 2) / count, kCellColumns);
  if (fitting >= kMinCellColumns) {
    return fitting;
  }
  const bool has_color = style.color != TerminalStyle::Color::kNone;
  return has_color ? std::clamp(fitting, 1, 2) : kCellColumns;
}

std::string Cell(float value, int width) {
  if (width < kMinCellColumns) {
    return std::string(width, ' ');
  }
  return Fit(absl::StrFormat("%.1f ", 100.0F * value), width, true);
}

std::string HeaderLine(const HeatMap& map, int name_width, int cell_width) {
  std::string line(name_width + 1, ' ');
  if (cell_width < kMinCellColumns) {
    return absl::StrCat(line, "columns 0..", map.column_names.size() - 1, "\n");
  }
  for (const std::string& name : map.column_names) {
    absl::StrAppend(&line, Fit(name, cell_width - 1, true), " ");
  }
  return line + "\n";
}

}  // namespace

int NameWidth(absl::Span<const std::string> names) {
  int width = 1;
  for (const std::string& name : names) {
    width = std::max(width, Width(name));
  }
  return std::min(width, kNameColumns);
}

std::string Fit(std::string_view text, int width, bool right) {
  const int found = Width(text);
  if (found > width) {
    return absl::StrCat(std::string(Prefix(text, width - 1)), ".");
  }
  const std::string space(width - found, ' ');
  const std::string whole(text);
  return right ? space + whole : whole + space;
}

std::string RenderHeatMap(const HeatMap& map, const TerminalStyle& style,
                          absl::Span<const std::string> row_notes) {
  const int name_width = NameWidth(map.row_names);
  const int cell_width = CellWidth(map, style, name_width);
  float largest = 0.0F;
  for (const float value : map.values) {
    largest = std::max(largest, value);
  }
  const float unit = largest > 0.0F ? 1.0F / largest : 0.0F;
  std::string text = HeaderLine(map, name_width, cell_width);
  const size_t columns = map.column_names.size();
  for (size_t row = 0; row < map.row_names.size(); ++row) {
    absl::StrAppend(&text, Fit(map.row_names[row], name_width, false), " ");
    for (size_t column = 0; column < columns; ++column) {
      const float value = map.values[row * columns + column];
      absl::StrAppend(&text, Paint(style, RampColor(value * unit)),
                      Cell(value, cell_width));
    }
    absl::StrAppend(&text, Unpaint(style));
    if (row < row_notes.size()) {
      absl::StrAppend(&text, " ", row_notes[row]);
    }
    text.push_back('\n');
  }
  return text;
}

std::string RenderBars(absl::Span<const float> values,
                       absl::Span<const std::string> names,
                       const TerminalStyle& style) {
  const int name_width = NameWidth(names);
  std::string text;
  for (size_t i = 0; i < values.size(); ++i) {
    const float clamped =
        std::isnan(values[i]) ? 0.0F : std::clamp(values[i], 0.0F, 1.0F);
    const auto length = static_cast<int>(std::lround(clamped * kBarColumns));
    absl::StrAppend(&text, Fit(names[i], name_width, false),
                    absl::StrFormat(" %5.3f ", values[i]));
    for (int k = 0; k < length; ++k) {
      absl::StrAppend(&text, style.unicode ? "█" : "#");
    }
    text.push_back('\n');
  }
  return text;
}

std::string Strongest(absl::Span<const float> values,
                      absl::Span<const std::string> names, int count) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return values[a] > values[b]; });
  std::string text;
  for (size_t i = 0; i < order.size() && i < static_cast<size_t>(count); ++i) {
    absl::StrAppend(&text, i == 0 ? "" : ", ", names[order[i]],
                    absl::StrFormat(" %.1f", 100.0F * values[order[i]]));
  }
  return text;
}

}  // namespace attn::attnctl
