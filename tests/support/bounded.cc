#include "tests/support/bounded.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "core/base/check.h"

namespace attn::test {
namespace {

// One output channel of one row, and its error.
struct Element {
  double value = 0;
  double error = 0;
};

Element ProjectOne(const BoundedLinear& linear, size_t channel, const double* x,
                   const double* e) {
  const auto n = static_cast<size_t>(linear.in_dim);
  const double* weights = linear.weights.data() + channel * n;
  const double* doubt =
      linear.doubt.empty() ? nullptr : linear.doubt.data() + channel * n;
  const double bias = linear.bias.empty() ? 0 : linear.bias[channel];
  Element sum{.value = bias};
  double magnitude = std::fabs(bias);
  for (size_t i = 0; i < n; ++i) {
    const double largest = std::fabs(x[i]) + e[i];
    sum.value += x[i] * weights[i];
    sum.error += e[i] * std::fabs(weights[i]);
    magnitude += largest * std::fabs(weights[i]);
    if (doubt != nullptr) sum.error += largest * doubt[i];
  }
  sum.error += Gamma(linear.in_dim + 3) * magnitude + kTiny;
  return sum;
}

void NormHead(const std::vector<double>& weight, double epsilon, double* x,
              double* e) {
  const size_t n = weight.size();
  double squares = 0, doubt = 0;
  for (size_t i = 0; i < n; ++i) {
    squares += x[i] * x[i];
    doubt += 2 * std::fabs(x[i]) * e[i] + e[i] * e[i];
  }
  const double s = squares / static_cast<double>(n) + epsilon;
  const double d =
      doubt / static_cast<double>(n) + Gamma(static_cast<int64_t>(n) + 2) * s;
  ATTN_CHECK(d < s);
  const double root_error = 1 / std::sqrt(1 - d / s) - 1 + 4 * kUnit;
  for (size_t i = 0; i < n; ++i) {
    x[i] *= weight[i] / std::sqrt(s);
    e[i] = std::fabs(weight[i]) * e[i] / std::sqrt(s - d) +
           std::fabs(x[i]) * root_error + kTiny;
  }
}

}  // namespace

Bounded Project(const BoundedLinear& linear, const Bounded& in) {
  const auto in_dim = static_cast<size_t>(linear.in_dim);
  Bounded out;
  for (size_t at = 0; at < in.value.size(); at += in_dim) {
    for (size_t c = 0; c < static_cast<size_t>(linear.out_dim); ++c) {
      const Element element =
          ProjectOne(linear, c, in.value.data() + at, in.error.data() + at);
      out.Add(element.value, element.error);
    }
  }
  return out;
}

void NormHeads(const std::vector<double>& weight, double epsilon, Bounded& in) {
  for (size_t at = 0; at < in.value.size(); at += weight.size()) {
    NormHead(weight, epsilon, in.value.data() + at, in.error.data() + at);
  }
}

void TurnHead(const Turn& turn, double* value, double* error) {
  const size_t n = turn.angles.size();
  for (size_t i = 0; i < n; ++i) {
    const double cos = turn.magnitude * std::cos(turn.angles[i]);
    const double sin = turn.magnitude * std::sin(turn.angles[i]);
    const double x = value[i], y = value[i + n];
    const double ex = error[i], ey = error[i + n];
    const double angle_error = std::fabs(turn.magnitude * turn.angles[i]) *
                               0x1p-50 * (std::fabs(x) + std::fabs(y));
    value[i] = cos * x - sin * y;
    value[i + n] = sin * x + cos * y;
    error[i] = std::fabs(cos) * ex + std::fabs(sin) * ey + angle_error +
               4 * kUnit * (std::fabs(cos * x) + std::fabs(sin * y)) + kTiny;
    error[i + n] = std::fabs(sin) * ex + std::fabs(cos) * ey + angle_error +
                   4 * kUnit * (std::fabs(sin * x) + std::fabs(cos * y)) +
                   kTiny;
  }
}

void AddRounding(double unit, double smallest_step, Bounded& in) {
  for (size_t i = 0; i < in.value.size(); ++i) {
    in.error[i] +=
        unit * (std::fabs(in.value[i]) + in.error[i]) + smallest_step;
  }
}

}  // namespace attn::test
