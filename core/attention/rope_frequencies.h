// How fast each pair of channels turns with the position, for the ways in which
// published models stretch rotary embeddings beyond the length that they were
// trained at. Positions themselves are turned in core/attention/rotation.h.
//
// Sources: RoFormer (arXiv 2104.09864) for the frequencies, position
// interpolation (2306.15595) for kLinear, YaRN (2309.00071) for kYarn, Llama
// 3.1's own code for kLlama3; names of the fields as in Hugging Face's
// config.json.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace attn {

enum class RopeScaling { kNone, kLinear, kLlama3, kYarn };

struct RopeConfig {
  double theta = 10000;
  // Leading channels of a head that turn. REQUIRES: even.
  int64_t rotary_dim = 0;

  RopeScaling scaling = RopeScaling::kNone;
  // Of all but kNone: how many times longer contexts become. REQUIRES: above 0.
  double factor = 1;
  // Of kLlama3 and kYarn. REQUIRES: above 0.
  int64_t original_max_position = 0;
  // Of kLlama3: wavelengths beyond original_max_position / low_freq_factor are
  // stretched by `factor`, those below original_max_position / high_freq_factor
  // are not. REQUIRES: low below high, both above 0.
  double low_freq_factor = 1;
  double high_freq_factor = 4;
  // Of kYarn: pairs that turn more often than beta_fast times within
  // original_max_position are left alone, those that turn less often than
  // beta_slow times are stretched by `factor`. REQUIRES: both above 0.
  double beta_fast = 32;
  double beta_slow = 1;
  // Whether the bounds between them are whole pairs.
  bool truncate = true;
  // Of kYarn: multiplies query and key; absent: 0.1 ln(factor) + 1.
  std::optional<double> attention_factor = {};
};

struct RopeFrequencies {
  // [rotary_dim / 2] in radians a position, fastest first.
  std::vector<double> per_position = {};
  // Multiplies cosines and sines.
  double magnitude = 1;
};

RopeFrequencies MakeRopeFrequencies(const RopeConfig& config);

}  // namespace attn
