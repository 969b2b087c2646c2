#include "client/examples/decode/transformer.h"

#include <algorithm>
#include <cmath>

namespace tiny_decoder {

Transformer::Transformer(const ModelShape& shape, uint64_t seed)
    : shape_(shape) {
  const size_t width = shape.width();
  const size_t kv_width = size_t{shape.kv_heads} * shape.head_dim;
  const auto random = [&seed](size_t rows, size_t columns) {
    return Matrix::Random(rows, columns, seed++);
  };
  embedding_ = random(shape.vocabulary, width);
  for (uint32_t i = 0; i < shape.layers; ++i) {
    layers_.push_back({.query = random(width, width),
                       .key = random(width, kv_width),
                       .value = random(width, kv_width),
                       .output = random(width, width),
                       .up = random(width, 2 * width),
                       .down = random(2 * width, width)});
  }
}

Matrix Transformer::Embed(const std::vector<uint32_t>& tokens) const {
  Matrix rows = Matrix::Zero(tokens.size(), shape_.width());
  for (size_t i = 0; i < tokens.size(); ++i) {
    std::copy_n(embedding_.row(tokens[i]), rows.columns, rows.row(i));
  }
  return rows;
}

Projections Transformer::Project(uint32_t layer, const Matrix& rows) const {
  const Layer& weights = layers_[layer];
  const Matrix normal = Normalize(rows);
  return {Multiply(normal, weights.query), Multiply(normal, weights.key),
          Multiply(normal, weights.value)};
}

void Transformer::Finish(uint32_t layer, const Matrix& attention,
                         Matrix& rows) const {
  const Layer& weights = layers_[layer];
  Add(Multiply(attention, weights.output), rows);
  Matrix hidden = Multiply(Normalize(rows), weights.up);
  for (double& value : hidden.values) {
    value /= 1.0 + std::exp(-value);  // SiLU
  }
  Add(Multiply(hidden, weights.down), rows);
}

uint32_t Transformer::NextToken(const Matrix& rows) const {
  const double* last = rows.row(rows.rows - 1);
  std::vector<double> scores(shape_.vocabulary);
  for (uint32_t token = 0; token < shape_.vocabulary; ++token) {
    for (size_t i = 0; i < rows.columns; ++i) {
      scores[token] += embedding_.row(token)[i] * last[i];
    }
  }
  return static_cast<uint32_t>(std::max_element(scores.begin(), scores.end()) -
                               scores.begin());
}

}  // namespace tiny_decoder
