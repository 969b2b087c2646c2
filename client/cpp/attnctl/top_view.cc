#include "client/cpp/attnctl/top_view.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/cpp/attnctl/axis_names.h"
#include "client/cpp/attnctl/heat_map.h"

namespace attn::attnctl {
namespace {

// The top weights of one batch entry with the names of its axes.
struct TopList {
  std::vector<int64_t> indices;      // [heads, rows, top_k], -1: no key
  std::vector<float> probabilities;  // [heads, rows, top_k]
  size_t heads = 0;
  size_t top_k = 0;
  AxisNames names;

  size_t rows() const { return names.rows.size(); }
};

absl::Status CheckShapes(const client::TopWeights& top) {
  const client::Shape& indices = top.indices.shape();
  const client::Shape& probabilities = top.probabilities.shape();
  if (indices.size() != 4 || indices != probabilities) {
    return absl::InvalidArgumentError(absl::StrCat(
        "top: indices and probabilities must be [B, heads, q_len, top_k]; got ",
        client::ShapeText(indices), " and ", client::ShapeText(probabilities)));
  }
  return absl::OkStatus();
}

absl::StatusOr<TopList> MakeList(const client::TopWeights& top,
                                 const AxisTokens& tokens) {
  absl::Status status = CheckShapes(top);
  absl::StatusOr<std::vector<int64_t>> indices = top.indices.ToInts();
  absl::StatusOr<std::vector<float>> probabilities =
      top.probabilities.ToFloats();
  status.Update(indices.status());
  status.Update(probabilities.status());
  if (!status.ok()) {
    return status;
  }
  // The reply does not say how many keys there are.
  int64_t num_keys = static_cast<int64_t>(tokens.keys.size());
  for (const int64_t index : *indices) {
    num_keys = std::max(num_keys, index + 1);
  }
  const client::Shape& shape = top.indices.shape();
  absl::StatusOr<AxisNames> names = NameAxes(tokens, shape[2], num_keys);
  if (!names.ok()) {
    return names.status();
  }
  return TopList{*std::move(indices), *std::move(probabilities),
                 static_cast<size_t>(shape[1]), static_cast<size_t>(shape[3]),
                 *std::move(names)};
}

// "river 71.7, the 12.2"
std::string KeysOf(const TopList& list, size_t head, size_t row) {
  std::string text;
  const size_t begin = (head * list.rows() + row) * list.top_k;
  for (size_t i = begin; i < begin + list.top_k && list.indices[i] >= 0; ++i) {
    absl::StrAppend(&text, text.empty() ? "" : ", ",
                    list.names.keys[list.indices[i]],
                    absl::StrFormat(" %.1f", 100.0F * list.probabilities[i]));
  }
  return text.empty() ? "-" : text;
}

absl::StatusOr<std::vector<size_t>> HeadsToShow(const TopList& list,
                                                const std::string& head) {
  std::vector<size_t> heads;
  for (size_t h = 0; h < list.heads; ++h) {
    if (head == "mean" || head == "all" || head == absl::StrCat(h)) {
      heads.push_back(h);
    }
  }
  if (heads.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("head: must be all or a number below ", list.heads,
                     "; got \"", head, "\""));
  }
  return heads;
}

// One line for each row of a head.
std::string RenderHead(const TopList& list, size_t head) {
  const int width = NameWidth(list.names.rows);
  std::string text =
      absl::StrCat("head ", head, " (each row's largest weights, percent)\n");
  for (size_t row = 0; row < list.rows(); ++row) {
    absl::StrAppend(&text, Fit(list.names.rows[row], width, false), "  ",
                    KeysOf(list, head, row), "\n");
  }
  return text + "\n";
}

}  // namespace

absl::StatusOr<std::string> RenderTop(const client::TopWeights& top,
                                      const WeightsViewOptions& options) {
  const absl::StatusOr<TopList> list = MakeList(top, options.tokens);
  if (!list.ok()) {
    return list.status();
  }
  const absl::StatusOr<std::vector<size_t>> heads =
      HeadsToShow(*list, options.head);
  if (!heads.ok()) {
    return heads.status();
  }
  std::string text;
  if (options.row.empty()) {
    for (const size_t head : *heads) {
      absl::StrAppend(&text, RenderHead(*list, head));
    }
    return text;
  }
  const absl::StatusOr<size_t> row =
      FindName("row", options.row, list->names.rows);
  if (!row.ok()) {
    return row.status();
  }
  text = absl::StrCat("\"", list->names.rows[*row],
                      "\" attends most to (percent)\n");
  for (const size_t head : *heads) {
    absl::StrAppend(&text, "head ", head, "  ", KeysOf(*list, head, *row),
                    "\n");
  }
  return text;
}

}  // namespace attn::attnctl
