// A small decoder-only transformer with random weights, but for its attention:
// session_attention.h asks the service for that, recomputation.h computes it
// here. A layer is
//   rows += Attention(Project(rows)) . output
//   rows += SiLU(NormalizeRows(rows) . up) . down
// and in every matrix of rows one row is one token.
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
  uint32_t vocabulary = 64;  // Tokens are 0 to vocabulary - 1.
  float rope_base = 10000;

  uint32_t width() const { return q_heads * head_dim; }  // Of a row.
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

  // What the first layer begins with: [tokens, width]. REQUIRES: each token is
  // below the vocabulary.
  Matrix Embed(const std::vector<uint32_t>& tokens) const;

  // Query, key and value of `layer` for `rows` [tokens, width].
  Projections Project(uint32_t layer, const Matrix& rows) const;

  // The rest of `layer`: adds its `attention` [tokens, width], times the output
  // matrix, and its feed-forward part to `rows`.
  void Finish(uint32_t layer, const Matrix& attention, Matrix& rows) const;

  // The likeliest token after the last of `rows`, which left the last layer.
  uint32_t NextToken(const Matrix& rows) const;

 private:
  struct Layer {
    Matrix query;   // [width, q_heads * head_dim]
    Matrix key;     // [width, kv_heads * head_dim]
    Matrix value;   // [width, kv_heads * head_dim]
    Matrix output;  // [width, width]
    Matrix up;      // [width, 2 * width]
    Matrix down;    // [2 * width, width]
  };

  ModelShape shape_;
  Matrix embedding_;  // [vocabulary, width]
  std::vector<Layer> layers_;
  Matrix unembedding_;  // [width, vocabulary]
};

}  // namespace tiny_decoder
