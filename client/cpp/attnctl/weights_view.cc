#include "client/cpp/attnctl/weights_view.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "client/cpp/attnctl/heat_map.h"
#include "client/cpp/attnctl/named_weights.h"

namespace attn::attnctl {
namespace {

constexpr int kStrongest = 3;

std::vector<float> MeanOverHeads(const NamedWeights& view) {
  const size_t size = view.rows() * view.columns();
  std::vector<float> mean(size, 0.0F);
  for (size_t i = 0; i < view.values.size(); ++i) {
    mean[i % size] += view.values[i] / static_cast<float>(view.heads);
  }
  return mean;
}

std::vector<std::string> HeadNames(const NamedWeights& view) {
  std::vector<std::string> names;
  for (size_t head = 0; head < view.heads; ++head) {
    names.push_back(absl::StrCat("head ", head));
  }
  return names;
}

std::string RenderMap(const std::string& title, absl::Span<const float> values,
                      const NamedWeights& view, const TerminalStyle& style) {
  return absl::StrCat(
      title, " (rows attend to columns, percent)\n",
      RenderHeatMap({values, view.row_names, view.column_names}, style), "\n");
}

absl::StatusOr<std::string> RenderMaps(const NamedWeights& view,
                                       const std::string& head,
                                       const TerminalStyle& style) {
  const size_t size = view.rows() * view.columns();
  const std::vector<std::string> names = HeadNames(view);
  const auto render = [&](size_t h) {
    return RenderMap(names[h],
                     absl::MakeConstSpan(view.values).subspan(h * size, size),
                     view, style);
  };
  if (head == "all") {
    std::string text;
    for (size_t h = 0; h < view.heads; ++h) {
      absl::StrAppend(&text, render(h));
    }
    return text;
  }
  const absl::StatusOr<std::optional<size_t>> found =
      FindHead(head, view.heads);
  if (!found.ok()) {
    return found.status();
  }
  return found->has_value()
             ? render(**found)
             : RenderMap(absl::StrCat("mean of ", view.heads, " heads"),
                         MeanOverHeads(view), view, style);
}

// One row of the map for each head and one for their mean.
std::string RenderRow(const NamedWeights& view, size_t row,
                      const TerminalStyle& style) {
  std::vector<float> values;
  for (size_t head = 0; head < view.heads; ++head) {
    const absl::Span<const float> part = view.Row(head, row);
    values.insert(values.end(), part.begin(), part.end());
  }
  const std::vector<float> mean = MeanOverHeads(view);
  values.insert(values.end(), mean.begin() + row * view.columns(),
                mean.begin() + (row + 1) * view.columns());
  std::vector<std::string> names = HeadNames(view);
  names.emplace_back("mean");
  std::vector<std::string> notes;
  for (size_t i = 0; i < names.size(); ++i) {
    notes.push_back(Strongest(
        absl::MakeConstSpan(values).subspan(i * view.columns(), view.columns()),
        view.column_names, kStrongest));
  }
  return absl::StrCat(
      "\"", view.row_names[row],
      "\" attends to (percent; the strongest on the right)\n",
      RenderHeatMap({values, std::move(names), view.column_names}, style,
                    notes));
}

std::string RenderColumn(const NamedWeights& view, size_t row, size_t column,
                         const TerminalStyle& style) {
  std::vector<float> values;
  for (size_t head = 0; head < view.heads; ++head) {
    values.push_back(view.Row(head, row)[column]);
  }
  return absl::StrCat("\"", view.row_names[row], "\" -> \"",
                      view.column_names[column], "\" (of 1)\n",
                      RenderBars(values, HeadNames(view), style));
}

}  // namespace

absl::StatusOr<std::string> RenderWeights(const client::Tensor& weights,
                                          const WeightsViewOptions& options,
                                          const TerminalStyle& style) {
  const absl::StatusOr<NamedWeights> view =
      NameWeights(weights, options.tokens);
  if (!view.ok()) {
    return view.status();
  }
  if (options.row.empty()) {
    return RenderMaps(*view, options.head, style);
  }
  const absl::StatusOr<size_t> row =
      FindName("row", options.row, view->row_names);
  if (!row.ok()) {
    return row.status();
  }
  std::string text = RenderRow(*view, *row, style);
  if (!options.column.empty()) {
    const absl::StatusOr<size_t> column =
        FindName("column", options.column, view->column_names);
    if (!column.ok()) {
      return column.status();
    }
    absl::StrAppend(&text, "\n", RenderColumn(*view, *row, *column, style));
  }
  return text;
}

}  // namespace attn::attnctl
