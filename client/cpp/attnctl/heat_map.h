// A matrix of weights as text: rows attend to columns, names on both axes, each
// cell the weight in percent on a background from dark (0) to yellow (the
// largest). Without colour the same text remains. Pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/types/span.h"
#include "client/cpp/attnctl/terminal.h"

namespace attn::attnctl {

struct HeatMap {
  // [row_names.size(), column_names.size()], row-major; the caller's, for the
  // call.
  absl::Span<const float> values;
  std::vector<std::string> row_names;
  std::vector<std::string> column_names;
};

// One line of names, then one for each row. Where the terminal is too narrow
// for numbers and has colours, cells shrink to blocks; without colours lines
// grow longer than the terminal. Rows may carry `row_notes` at their end (empty
// or one for each row). REQUIRES: values.size() == rows * columns.
std::string RenderHeatMap(const HeatMap& map, const TerminalStyle& style,
                          absl::Span<const std::string> row_notes = {});

// One line for each name: "head 4  0.717 ################". Bars are as long as
// the value is of 1. REQUIRES: values.size() == names.size().
std::string RenderBars(absl::Span<const float> values,
                       absl::Span<const std::string> names,
                       const TerminalStyle& style);

// The `count` largest of `values` with their names: "river 71.7, the 12.2".
std::string Strongest(absl::Span<const float> values,
                      absl::Span<const std::string> names, int count);

// Columns for the widest of `names`, at least 1 and at most 12.
int NameWidth(absl::Span<const std::string> names);

// `text` cut or filled with spaces to `width` code points; cut text ends in
// '.'. `right` puts it at the right end.
std::string Fit(std::string_view text, int width, bool right);

}  // namespace attn::attnctl
