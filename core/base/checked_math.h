// Arithmetic on sizes that come from outside: every sum and product either is
// exact or is nothing.
#pragma once

#include <cstdint>
#include <optional>

namespace attn {

inline std::optional<int64_t> CheckedAdd(int64_t a, int64_t b) {
  int64_t sum;
  if (__builtin_add_overflow(a, b, &sum)) return std::nullopt;
  return sum;
}

inline std::optional<int64_t> CheckedMul(int64_t a, int64_t b) {
  int64_t product;
  if (__builtin_mul_overflow(a, b, &product)) return std::nullopt;
  return product;
}

// ceil(a / b). REQUIRES: a >= 0, b > 0.
constexpr int64_t DivideUp(int64_t a, int64_t b) {
  return a / b + (a % b != 0 ? 1 : 0);
}

// The smallest multiple of `unit` that is at least `a`. REQUIRES: a >= 0,
// unit > 0 and the result fits.
constexpr int64_t RoundUp(int64_t a, int64_t unit) {
  return DivideUp(a, unit) * unit;
}

}  // namespace attn
