// Rounding to the float types, in f64 and by arithmetic alone: for references,
// which must not share the conversions of what they check.
#pragma once

#include <algorithm>
#include <cmath>

#include "core/base/check.h"
#include "core/tensor/dtype.h"

namespace attn::test {

struct FloatShape {
  int significant_bits = 0;
  int least_exponent = 0;  // Of the smallest number above 0, a power of two.
};

// REQUIRES: F64, F32, F16 or BF16.
inline FloatShape ShapeOf(DataType dtype) {
  switch (dtype) {
    case DataType::kF64:
      return {53, -1074};
    case DataType::kF32:
      return {24, -149};
    case DataType::kF16:
      return {11, -24};
    case DataType::kBF16:
      return {8, -133};
    default:
      break;
  }
  ATTN_CHECK(false);
}

// Half of the gap between 1 and the next number: the largest relative error of
// rounding once.
inline double UnitRoundoff(DataType dtype) {
  return std::ldexp(1.0, -ShapeOf(dtype).significant_bits);
}

// To nearest, ties to even; as if there were no largest number.
inline double RoundedTo(DataType dtype, double value) {
  const FloatShape shape = ShapeOf(dtype);
  int exponent = 0;
  std::frexp(value, &exponent);
  exponent = std::max(exponent - shape.significant_bits, shape.least_exponent);
  return std::ldexp(std::nearbyint(std::ldexp(value, -exponent)), exponent);
}

}  // namespace attn::test
