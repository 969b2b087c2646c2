#include "client/cpp/attnctl/weights_view.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "client/cpp/attnctl/axis_names.h"
#include "client/cpp/attnctl/heat_map.h"

namespace attn::attnctl {
namespace {

constexpr int kStrongest = 3;

// The weights of one batch entry with the names of their axes.
struct View {
  std::vector<float> values;  // [heads, rows, columns]
  size_t heads = 0;
  std::vector<std::string> row_names;
  std::vector<std::string> column_names;

  size_t rows() const { return row_names.size(); }
  size_t columns() const { return column_names.size(); }
  absl::Span<const float> Row(size_t head, size_t row) const {
    return absl::MakeConstSpan(values).subspan(
        (head * rows() + row) * columns(), columns());
  }
};

absl::StatusOr<View> MakeView(const client::Tensor& weights,
                              const std::vector<std::string>& tokens) {
  const client::Shape& shape = weights.shape();
  absl::StatusOr<std::vector<float>> values = weights.ToFloats();
  if (!values.ok()) {
    return values.status();
  }
  if (shape.size() != 4 || values->empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("weights must be [B, heads, q_len, kv_len] and not empty; "
                     "got ",
                     client::ShapeText(shape)));
  }
  View view;
  view.heads = shape[1];
  const size_t rows = shape[2];
  const size_t columns = shape[3];
  absl::StatusOr<AxisNames> names = NameAxes(tokens, rows, columns);
  if (!names.ok()) {
    return names.status();
  }
  view.row_names = std::move(names->rows);
  view.column_names = std::move(names->keys);
  values->resize(view.heads * rows * columns);
  view.values = *std::move(values);
  return view;
}

std::vector<float> MeanOverHeads(const View& view) {
  const size_t size = view.rows() * view.columns();
  std::vector<float> mean(size, 0.0F);
  for (size_t i = 0; i < view.values.size(); ++i) {
    mean[i % size] += view.values[i] / static_cast<float>(view.heads);
  }
  return mean;
}

std::vector<std::string> HeadNames(const View& view) {
  std::vector<std::string> names;
  for (size_t head = 0; head < view.heads; ++head) {
    names.push_back(absl::StrCat("head ", head));
  }
  return names;
}

std::string RenderMap(const std::string& title, absl::Span<const float> values,
                      const View& view, const TerminalStyle& style) {
  return absl::StrCat(
      title, " (rows attend to columns, percent)\n",
      RenderHeatMap({values, view.row_names, view.column_names}, style), "\n");
}

absl::StatusOr<std::string> RenderMaps(const View& view,
                                       const std::string& head,
                                       const TerminalStyle& style) {
  if (head == "mean") {
    return RenderMap(absl::StrCat("mean of ", view.heads, " heads"),
                     MeanOverHeads(view), view, style);
  }
  const size_t size = view.rows() * view.columns();
  const std::vector<std::string> names = HeadNames(view);
  std::string text;
  for (size_t h = 0; h < view.heads; ++h) {
    if (head == "all" || head == absl::StrCat(h)) {
      const auto values =
          absl::MakeConstSpan(view.values).subspan(h * size, size);
      absl::StrAppend(&text, RenderMap(names[h], values, view, style));
    }
  }
  if (text.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("head: must be mean, all or a number below ", view.heads,
                     "; got \"", head, "\""));
  }
  return text;
}

// One row of the map for each head and one for their mean.
std::string RenderRow(const View& view, size_t row,
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

std::string RenderColumn(const View& view, size_t row, size_t column,
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
  absl::StatusOr<View> view = MakeView(weights, options.tokens);
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
