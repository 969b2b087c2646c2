// A small decoder-only transformer with random weights: everything but its
// attention, which someone else computes. Rows are tokens.
#pragma once

#include <cstdint>
#include <vector>

#include "client/examples/decode/matrix.h"

namespace tiny_decoder {

struct ModelShape {
  uint32_t layers = 3;
  uint32_t q_heads = 8;
  uint32_t kv_heads = 2;  // Each serves q_heads / kv_heads query heads.
  uint32_t head_dim = 16;
  uint32_t vocabulary = 64;
  float rope_base = 10000;

  uint32_t width() const { return q_heads * head_dim; }
};

// What a layer's attention gets, before rotary embedding.
struct Projections {
  Matrix query;  // [tokens, q_heads * head_dim]
  Matrix key;    // [tokens, kv_heads * head_dim]
  Matrix value;  // [tokens, kv_heads * head_dim]
};

// Thread-safe: immutable.
class Transformer {
 public:
  Transformer(const ModelShape& shape, uint64_t seed);

  const ModelShape& shape() const { return shape_; }

  // [tokens, width]
  Matrix Embed(const std::vector<uint32_t>& tokens) const;

  // What `layer` attends with for `rows` [tokens, width].
  Projections Project(uint32_t layer, const Matrix& rows) const;

  // Adds the layer's attention [tokens, width], projected, and its
  // feed-forward part to `rows`.
  void Finish(uint32_t layer, const Matrix& attention, Matrix& rows) const;

  // The likeliest token after the last of `rows`.
  uint32_t NextToken(const Matrix& rows) const;

 private:
  struct Layer {
    Matrix query, key, value, output;  // [width, ...], output: [width, width]
    Matrix up, down;                   // [width, 2 width], [2 width, width]
  };

  ModelShape shape_;
  Matrix embedding_;  // [vocabulary, width]
  std::vector<Layer> layers_;
};

}  // namespace tiny_decoder
