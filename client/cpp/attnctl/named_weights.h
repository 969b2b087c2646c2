// The weights of one batch entry with names on their axes: what the heat map
// and the explorer page show. Plain values: thread-compatible.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "client/cpp/attnctl/axis_names.h"
#include "client/cpp/tensor.h"

namespace attn::attnctl {

struct NamedWeights {
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

// Entry 0 of `weights`, [B, num_q_heads, q_len, kv_len]. Errors:
// INVALID_ARGUMENT for a tensor of another form or an empty one, and as
// NameAxes.
absl::StatusOr<NamedWeights> NameWeights(const client::Tensor& weights,
                                         const AxisTokens& tokens);

// The number that `head` is; none for "mean". Errors: INVALID_ARGUMENT for
// anything else.
absl::StatusOr<std::optional<size_t>> FindHead(const std::string& head,
                                               size_t heads);

}  // namespace attn::attnctl
