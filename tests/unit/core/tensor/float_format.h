// The 16-bit float formats spelled out field by field: a reference that shares
// no code with the conversions.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "core/tensor/dtype.h"

namespace attn {

// A 16-bit float format: sign, exponent, mantissa.
struct Format {
  DataType dtype;
  int mantissa_bits;
  int bias;

  int exponent_bits() const { return 15 - mantissa_bits; }
  int largest_exponent() const { return (1 << exponent_bits()) - 1; }
  uint16_t infinity() const {
    return static_cast<uint16_t>(largest_exponent() << mantissa_bits);
  }
};
inline constexpr Format kHalf{DataType::kF16, 10, 15};
inline constexpr Format kBrain{DataType::kBF16, 7, 127};

// The value that the fields spell.
inline double ValueOf(const Format& format, uint16_t bits) {
  const int mantissa = bits & ((1 << format.mantissa_bits) - 1);
  const int exponent = bits >> format.mantissa_bits & format.largest_exponent();
  const double sign = bits >> 15 != 0 ? -1 : 1;
  if (exponent == format.largest_exponent()) {
    return mantissa != 0 ? std::nan("") : sign * INFINITY;
  }
  const int implicit = exponent == 0 ? 0 : 1 << format.mantissa_bits;
  const int power = std::max(exponent, 1) - format.bias - format.mantissa_bits;
  return sign * std::ldexp(implicit + mantissa, power);
}

}  // namespace attn
