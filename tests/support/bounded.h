// Numbers in f64 beside a bound of how far off they may be where they are
// computed in f32: a running error analysis (Higham, "Accuracy and Stability of
// Numerical Algorithms", chapters 3 and 4), step by step.
//
// u = 2^-24 is the unit roundoff of f32, and gamma(n) = n u / (1 - n u) bounds
// the relative error of n roundings, of a sum of products of n terms in any
// order relative to the sum of magnitudes. e stands for the error that a step's
// input brings. A step adds kTiny for what flushes to 0 where it is denormal.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

namespace attn::test {

inline constexpr double kUnit = 0x1p-24;
inline constexpr double kTiny = 1e-35;

// Relative error of n roundings.
inline double Gamma(int64_t n) {
  const double roundings = static_cast<double>(n) * kUnit;
  return roundings / (1 - roundings);
}

struct Bounded {
  std::vector<double> value = {};
  std::vector<double> error = {};  // As many.

  static Bounded Exact(std::vector<double> values) {
    std::vector<double> none(values.size(), 0.0);
    return {std::move(values), std::move(none)};
  }
  void Add(double element, double bound) {
    value.push_back(element);
    error.push_back(bound);
  }
};

// Weights as a server keeps them.
struct BoundedLinear {
  int64_t in_dim = 0;
  int64_t out_dim = 0;
  std::vector<double> weights = {};  // [out_dim, in_dim]
  // [out_dim, in_dim] how far a kept weight may be off; empty: not at all.
  std::vector<double> doubt = {};
  std::vector<double> bias = {};  // [out_dim] or empty.
};

// in: [rows, in_dim], out: [rows, out_dim].
//   |error| <= sum e|w| + sum (|x| + e) doubt
//              + gamma(in_dim + 3) (sum (|x| + e)|w| + |b|)
// of in_dim products, as many sums, the bias, and one rounding each of x, w and
// an int8 channel's scale.
Bounded Project(const BoundedLinear& linear, const Bounded& in);

// Each run of weight.size() channels by its root mean square, then by weight.
// With s = mean(x^2) + epsilon, which is off by at most
// d = mean(2|x|e + e^2) + gamma(n + 2) s, the root is off by the factor
// 1 / sqrt(1 - d / s), and
//   |error| <= |w| e / sqrt(s - d) + |y| (1 / sqrt(1 - d / s) - 1 + 4 u).
void NormHeads(const std::vector<double>& weight, double epsilon, Bounded& in);

// Pairs (c, c + n) of the first 2 n channels of a head of `dim`, n angles:
//   x' = m (cos x - sin y), y' = m (sin x + cos y)
//   |error x'| <= m (|cos| e_x + |sin| e_y) + m (|cos x| + |sin y|) 4 u
//                 + m (|x| + |y|) |angle| 2^-50
// for cosines rounded to f32 once, of angles computed in f64.
struct Turn {
  std::vector<double> angles = {};
  double magnitude = 1;
};
void TurnHead(const Turn& turn, double* value, double* error);

// Rounds once to a type with the unit roundoff `unit`, and is off by that.
void AddRounding(double unit, double smallest_step, Bounded& in);

}  // namespace attn::test
