// Conversion between binary32 or binary64 and the two half-width formats of the
// wire. Rounding is to nearest, ties to even, once; overflow gives infinity; a
// NaN stays a NaN and keeps the payload bits that fit. Pure functions:
// thread-safe.
#pragma once

#include <cstdint>

namespace attn::client {

// IEEE 754 binary16.
uint16_t F16FromFloat(float value);
uint16_t F16FromDouble(double value);
float FloatFromF16(uint16_t half);

// bfloat16: the upper half of a binary32.
uint16_t Bf16FromFloat(float value);
uint16_t Bf16FromDouble(double value);
float FloatFromBf16(uint16_t half);

}  // namespace attn::client
