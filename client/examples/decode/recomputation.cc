#include "client/examples/decode/recomputation.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace tiny_decoder {
namespace {

// Softmax of `scores` in place.
void Softmax(std::vector<double>& scores) {
  const double largest = *std::max_element(scores.begin(), scores.end());
  double sum = 0;
  for (double& score : scores) {
    score = std::exp(score - largest);
    sum += score;
  }
  for (double& score : scores) {
    score /= sum;
  }
}

// Query head `head` of row `row`, rotated already, attends to rows 0..row. Adds
// to out: [head_dim].
void AttendRow(const ModelShape& shape, const Projections& rotated, size_t row,
               size_t head, double* out) {
  const size_t dim = shape.head_dim;
  const size_t kv_head = head / (shape.q_heads / shape.kv_heads);
  const double* query = rotated.query.row(row) + head * dim;
  std::vector<double> weights(row + 1);
  for (size_t j = 0; j <= row; ++j) {
    const double* key = rotated.key.row(j) + kv_head * dim;
    for (size_t d = 0; d < dim; ++d) {
      weights[j] += query[d] * key[d];
    }
    weights[j] /= std::sqrt(static_cast<double>(dim));
  }
  Softmax(weights);
  for (size_t j = 0; j <= row; ++j) {
    const double* value = rotated.value.row(j) + kv_head * dim;
    for (size_t d = 0; d < dim; ++d) {
      out[d] += weights[j] * value[d];
    }
  }
}

}  // namespace

void Rotate(const ModelShape& shape, Matrix& rows) {
  const size_t half = shape.head_dim / 2;
  for (size_t position = 0; position < rows.rows; ++position) {
    for (size_t at = 0; at < rows.columns; at += shape.head_dim) {
      double* head = rows.row(position) + at;
      for (size_t d = 0; d < half; ++d) {
        const double angle =
            static_cast<double>(position) *
            std::pow(double{shape.rope_base},
                     -static_cast<double>(d) / static_cast<double>(half));
        const double x = head[d];
        const double y = head[d + half];
        head[d] = x * std::cos(angle) - y * std::sin(angle);
        head[d + half] = y * std::cos(angle) + x * std::sin(angle);
      }
    }
  }
}

Matrix CausalAttention(const ModelShape& shape, Projections projections) {
  Rotate(shape, projections.query);
  Rotate(shape, projections.key);
  Matrix out = Matrix::Zero(projections.query.rows, shape.width());
  for (size_t row = 0; row < out.rows; ++row) {
    for (size_t head = 0; head < shape.q_heads; ++head) {
      AttendRow(shape, projections, row, head,
                out.row(row) + head * shape.head_dim);
    }
  }
  return out;
}

Matrix Recompute(const Transformer& model,
                 const std::vector<uint32_t>& tokens) {
  Matrix rows = model.Embed(tokens);
  for (uint32_t layer = 0; layer < model.shape().layers; ++layer) {
    model.Finish(layer,
                 CausalAttention(model.shape(), model.Project(layer, rows)),
                 rows);
  }
  return rows;
}

}  // namespace tiny_decoder
