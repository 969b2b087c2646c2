#include "client/cpp/attnctl/named_weights.h"

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace attn::attnctl {

absl::StatusOr<NamedWeights> NameWeights(const client::Tensor& weights,
                                         const AxisTokens& tokens) {
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
  NamedWeights named;
  named.heads = shape[1];
  const size_t rows = shape[2];
  const size_t columns = shape[3];
  absl::StatusOr<AxisNames> names = NameAxes(tokens, rows, columns);
  if (!names.ok()) {
    return names.status();
  }
  named.row_names = std::move(names->rows);
  named.column_names = std::move(names->keys);
  values->resize(named.heads * rows * columns);
  named.values = *std::move(values);
  return named;
}

absl::StatusOr<std::optional<size_t>> FindHead(const std::string& head,
                                               size_t heads) {
  if (head == "mean") {
    return std::optional<size_t>();
  }
  size_t number = 0;
  if (!absl::SimpleAtoi(head, &number) || number >= heads) {
    return absl::InvalidArgumentError(
        absl::StrCat("head: must be mean, all or a number below ", heads,
                     "; got \"", head, "\""));
  }
  return std::optional<size_t>(number);
}

}  // namespace attn::attnctl
