// Conversions between the float types of the wire and the f32 of the kernels.
// Widening is exact; narrowing rounds to nearest even once, NaN stays NaN.
// SIMD code for AVX2 and AVX-512, chosen at run time.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/tensor/dtype.h"

namespace attn {

// to[i] = from[i] * factor for i < n. `from`: n elements of dtype kF32, kF16 or
// kBF16 at any alignment. The product is rounded to f32 once.
void ConvertToF32(DataType dtype, const std::byte* from, int64_t n,
                  float factor, float* to);

// to[i] = from[i] as dtype kF32, kF16, kBF16 (rounded) or kF64, at any
// alignment.
void ConvertFromF32(const float* from, int64_t n, DataType dtype,
                    std::byte* to);

// The same for arithmetic in f64; one element after another.
// to[i] = from[i], any float dtype.
void ConvertToF64(DataType dtype, const std::byte* from, int64_t n, double* to);
// to[i] = from[i] rounded once to any float dtype.
void ConvertFromF64(const double* from, int64_t n, DataType dtype,
                    std::byte* to);

// One value of each, for the reference and for tests.
float F16ToF32(uint16_t bits);
uint16_t F32ToF16(float value);
float BF16ToF32(uint16_t bits);
uint16_t F32ToBF16(float value);

}  // namespace attn
