// What the service should answer, computed here: rotary embedding, causal
// attention with grouped heads and the whole transformer over all tokens at
// once, in f64 and without any cache. Pure functions.
#pragma once

#include <vector>

#include "client/examples/decode/matrix.h"
#include "client/examples/decode/transformer.h"

namespace tiny_decoder {

// Turns each head of each row by its position, which is the row's number: the
// pair (d, d + head_dim / 2) by position * base^(-2 d / head_dim).
void Rotate(const ModelShape& shape, Matrix& rows);

// Row i attends to rows 0..i. [tokens, width]
Matrix CausalAttention(const ModelShape& shape, Projections projections);

// The last layer's rows for all of `tokens`. [tokens, width]
Matrix Recompute(const Transformer& model, const std::vector<uint32_t>& tokens);

}  // namespace tiny_decoder
