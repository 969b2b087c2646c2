#include "client/examples/decode/transformer.h"

#include <algorithm>
#include <cmath>

namespace tiny_decoder {

Transformer::Transformer(const ModelShape& shape, uint64_t seed)
    : shape_(shape) {
  const size_t width = shape.width();
  const size_t kv_width = size_t{shape.kv_heads} * shape.head_dim;
  // No two matrices alike.
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
  unembedding_ = random(width, shape.vocabulary);
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
  const Matrix normal = NormalizeRows(rows);
  return {Multiply(normal, weights.query), Multiply(normal, weights.key),
          Multiply(normal, weights.value)};
}

void Transformer::Finish(uint32_t layer, const Matrix& attention,
                         Matrix& rows) const {
  const Layer& weights = layers_[layer];
  AddTo(rows, Multiply(attention, weights.output));
  Matrix hidden = Multiply(NormalizeRows(rows), weights.up);
  for (double& value : hidden.values) {
    value /= 1.0 + std::exp(-value);  // SiLU: x * sigmoid(x)
  }
  AddTo(rows, Multiply(hidden, weights.down));
}

uint32_t Transformer::NextToken(const Matrix& rows) const {
  const Matrix scores = Multiply(LastRows(rows, 1), unembedding_);
  const auto& values = scores.values;
  return static_cast<uint32_t>(std::max_element(values.begin(), values.end()) -
                               values.begin());
}

}  // namespace tiny_decoder
