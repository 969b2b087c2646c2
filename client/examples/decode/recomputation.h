// What the service should answer, computed here by the formula: rotary
// embedding, causal attention with grouped heads, and the whole transformer
// over all tokens at once. In f64, without a cache. Pure functions.
#pragma once

#include <vector>

#include "client/examples/decode/matrix.h"
#include "client/examples/decode/transformer.h"

namespace tiny_decoder {

// Turns each head of each row by its position, which is the row's number: the
// pair (d, d + head_dim / 2) by position * base^(-2 d / head_dim).
void Rotate(const ModelShape& shape, Matrix& rows);

// Rotates query and key; then each query head of row i attends to rows 0..i of
// its KV head, scaled by 1 / sqrt(head_dim). [tokens, width]
Matrix CausalAttention(const ModelShape& shape, Projections projections);

// The rows that leave the last layer, for all of `tokens`. [tokens, width]
Matrix Recompute(const Transformer& model, const std::vector<uint32_t>& tokens);

}  // namespace tiny_decoder
