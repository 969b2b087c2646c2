#include "core/attention/rope_frequencies.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace attn {
namespace {

constexpr double kTwoPi = 2 * std::numbers::pi;

// `share` of the way from `frequency`, stretched, to `frequency` as it is.
double Blend(double frequency, double factor, double share) {
  return frequency * ((1 - share) / factor + share);
}

double Llama3(double frequency, const RopeConfig& config) {
  const double turns =
      static_cast<double>(config.original_max_position) * frequency / kTwoPi;
  const double share = (turns - config.low_freq_factor) /
                       (config.high_freq_factor - config.low_freq_factor);
  return Blend(frequency, config.factor, std::clamp(share, 0.0, 1.0));
}

// The pair, as a fraction, that turns `turns` times within the original length.
double PairOfTurns(double turns, const RopeConfig& config) {
  return static_cast<double>(config.rotary_dim) *
         std::log(static_cast<double>(config.original_max_position) /
                  (turns * kTwoPi)) /
         (2 * std::log(config.theta));
}

// From `first` on pairs are stretched more and more, from `last` on wholly.
struct Ramp {
  double first = 0;
  double last = 0;

  double At(int64_t pair) const {
    return std::clamp((static_cast<double>(pair) - first) / (last - first), 0.0,
                      1.0);
  }
};

Ramp YarnRamp(const RopeConfig& config) {
  Ramp ramp{.first = PairOfTurns(config.beta_fast, config),
            .last = PairOfTurns(config.beta_slow, config)};
  if (config.truncate) {
    ramp = {.first = std::floor(ramp.first), .last = std::ceil(ramp.last)};
  }
  ramp.first = std::max(ramp.first, 0.0);
  ramp.last = std::min(ramp.last, static_cast<double>(config.rotary_dim) - 1);
  // As the published code has it, against a division by 0.
  if (ramp.first == ramp.last) ramp.last += 0.001;
  return ramp;
}

double Magnitude(const RopeConfig& config) {
  if (config.scaling != RopeScaling::kYarn) return 1;
  if (config.attention_factor.has_value()) return *config.attention_factor;
  return config.factor <= 1 ? 1 : 0.1 * std::log(config.factor) + 1;
}

}  // namespace

RopeFrequencies MakeRopeFrequencies(const RopeConfig& config) {
  const Ramp ramp =
      config.scaling == RopeScaling::kYarn ? YarnRamp(config) : Ramp{};
  RopeFrequencies frequencies{.magnitude = Magnitude(config)};
  for (int64_t pair = 0; pair < config.rotary_dim / 2; ++pair) {
    const double plain =
        std::pow(config.theta, -2.0 * static_cast<double>(pair) /
                                   static_cast<double>(config.rotary_dim));
    double frequency = plain;
    switch (config.scaling) {
      case RopeScaling::kNone:
        break;
      case RopeScaling::kLinear:
        frequency = plain / config.factor;
        break;
      case RopeScaling::kLlama3:
        frequency = Llama3(plain, config);
        break;
      case RopeScaling::kYarn:
        frequency = Blend(plain, config.factor, 1 - ramp.At(pair));
        break;
    }
    frequencies.per_position.push_back(frequency);
  }
  return frequencies;
}

}  // namespace attn
