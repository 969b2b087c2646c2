#include "tests/support/rope_reference.h"

#include <algorithm>
#include <cmath>

namespace attn::test {
namespace {

constexpr double kPi = 3.14159265358979323846;

// RoFormer: theta_i = base^(-2i / d).
std::vector<double> Plain(const RopeConfig& c) {
  std::vector<double> frequencies;
  for (int64_t i = 0; i < c.rotary_dim; i += 2) {
    const double exponent =
        static_cast<double>(i) / static_cast<double>(c.rotary_dim);
    frequencies.push_back(1 / std::pow(c.theta, exponent));
  }
  return frequencies;
}

// _compute_llama3_parameters: by wavelength, in three ranges.
double Llama3(double frequency, const RopeConfig& c) {
  const double length = static_cast<double>(c.original_max_position);
  const double wavelength = 2 * kPi / frequency;
  if (wavelength < length / c.high_freq_factor) return frequency;
  if (wavelength > length / c.low_freq_factor) return frequency / c.factor;
  const double smooth = (length / wavelength - c.low_freq_factor) /
                        (c.high_freq_factor - c.low_freq_factor);
  return (1 - smooth) * frequency / c.factor + smooth * frequency;
}

// find_correction_dim of _compute_yarn_parameters.
double CorrectionDim(double rotations, const RopeConfig& c) {
  const double length = static_cast<double>(c.original_max_position);
  return static_cast<double>(c.rotary_dim) *
         std::log(length / (rotations * 2 * kPi)) / (2 * std::log(c.theta));
}

double Yarn(double frequency, double pair, const RopeConfig& c) {
  double low = CorrectionDim(c.beta_fast, c);
  double high = CorrectionDim(c.beta_slow, c);
  if (c.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, static_cast<double>(c.rotary_dim - 1));
  if (low == high) high += 0.001;
  const double ramp = std::min(std::max((pair - low) / (high - low), 0.0), 1.0);
  return frequency / c.factor * ramp + frequency * (1 - ramp);
}

double YarnMagnitude(const RopeConfig& c) {
  if (c.attention_factor.has_value()) return *c.attention_factor;
  return c.factor > 1 ? 0.1 * std::log(c.factor) + 1 : 1;
}

}  // namespace

RopeReference MakeRopeReference(const RopeConfig& c) {
  RopeReference rope{.per_position = Plain(c)};
  if (c.scaling == RopeScaling::kYarn) rope.magnitude = YarnMagnitude(c);
  double pair = 0;
  for (double& frequency : rope.per_position) {
    if (c.scaling == RopeScaling::kLinear) frequency /= c.factor;
    if (c.scaling == RopeScaling::kLlama3) frequency = Llama3(frequency, c);
    if (c.scaling == RopeScaling::kYarn) frequency = Yarn(frequency, pair, c);
    ++pair;
  }
  return rope;
}

}  // namespace attn::test
