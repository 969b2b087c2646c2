// The steps between the two products: what happens to a row of scores on its
// way to weights. Rows hold n contiguous floats; SIMD code for AVX2 and
// AVX-512, chosen at run time.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/attention/key_range.h"

namespace attn {

inline constexpr double kLog4E = 0.72134752044448170368;

// scores[j] = cap * tanh(scores[j] / cap). REQUIRES: cap > 0.
void SoftcapRow(float* scores, int64_t n, float cap);

// scores[j] += slope * (first_distance + j).
void AddAlibiRow(float* scores, int64_t n, float slope, double first_distance);

// scores[j] = -inf where allowed[j] is 0.
void ForbidRow(float* scores, int64_t n, const std::byte* allowed);

// scores[j] += bias[j]; -inf where bias[j] is -inf, even if scores[j] is NaN.
void AddBiasRow(float* scores, int64_t n, const float* bias);

// scores[j] = -inf where key first_key + j is outside the range.
void ForbidOutside(float* scores, int64_t n, int64_t first_key,
                   const KeyRange& range);

// scores[j] *= log4(e), for weights that are powers of 4. Of 4, not of 2: a
// factor below 1 leaves what is finite so. finfo.min in a mask means "very
// unlikely", not "never", and its lse is finite.
void ToLog4Row(float* scores, int64_t n);

// A tile of scores in base 4, [num_rows, stride] with num_keys in use, and the
// running state of its rows.
struct SoftmaxTile {
  float* scores = nullptr;
  int64_t num_rows = 0;
  int64_t num_keys = 0;
  int64_t stride = 0;
  // [num_rows] running maximum, rounded up to an integer, or -inf before the
  // first allowed key. Integers make every rescaling an exact power of two, and
  // needless almost always after the first tile.
  float* max = nullptr;
  // [num_rows] running sum of 4^(score - max).
  double* sum = nullptr;
  // [num_rows] out: 4^(old max - new max), by which to scale what was
  // accumulated under the old maximum.
  float* rescale = nullptr;
};

// One step of the online softmax: scores become 4^(score - max), exactly 0
// where they were -inf; max and sum move on.
void SoftmaxStep(const SoftmaxTile& tile);

// scores[j] = 4^(scores[j] - max) * factor; 0 where -inf. For weights.
void ProbabilitiesRow(float* scores, int64_t n, float max, float factor);

// values[i] *= factor.
void ScaleRow(float* values, int64_t n, float factor);

}  // namespace attn
