#include "core/attention/score_ops.h"

#include <algorithm>
#include <cmath>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/attention/score_ops.cc"
// foreach_target.h must come first.
// clang-format off
#include "hwy/foreach_target.h"  // Includes this file once per target.
#include "hwy/contrib/math/math-inl.h"
#include "hwy/highway.h"
#include "core/tensor/widen-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace attn::HWY_NAMESPACE {

constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

// Runs step(scores, j) -> scores over a row in place; the rest of the row goes
// through a padded copy, so that every element takes the same instructions.
template <typename Step>
HWY_INLINE void TransformRow(float* scores, int64_t n, const Step& step) {
  const FloatTag tag;
  const auto lanes = static_cast<int64_t>(hn::Lanes(tag));
  int64_t j = 0;
  for (; j + lanes <= n; j += lanes) {
    hn::StoreU(step(hn::LoadU(tag, scores + j), j), tag, scores + j);
  }
  if (j >= n) return;
  HWY_ALIGN float rest[HWY_MAX_BYTES / sizeof(float)];
  std::fill(rest, rest + lanes, kMinusInfinity);
  std::copy(scores + j, scores + n, rest);
  hn::Store(step(hn::Load(tag, rest), j), tag, rest);
  std::copy(rest, rest + (n - j), scores + j);
}

// 4^x for x <= 0 (NaN stays NaN): relative error below 2e-7 (Cephes exp2f's
// polynomial on [-0.5, 0.5], its k-th coefficient times 2^k); exactly 0 below
// 2^-125, where the largest weight of the row is at least 1/4.
HWY_INLINE Floats Exp4(Floats x) {
  const FloatTag tag;
  const hn::RebindToSigned<FloatTag> bits;
  // Adding 1.5 * 2^22 leaves round(2 x) in the low bits.
  const auto magic = hn::Set(tag, 6291456.0f);
  const auto shifted = hn::Add(x, magic);
  const auto f = hn::Sub(x, hn::Sub(shifted, magic));
  auto p = hn::Set(tag, 64 * 1.535336188319500E-4f);
  p = hn::MulAdd(p, f, hn::Set(tag, 32 * 1.339887440266574E-3f));
  p = hn::MulAdd(p, f, hn::Set(tag, 16 * 9.618437357674640E-3f));
  p = hn::MulAdd(p, f, hn::Set(tag, 8 * 5.550332471162809E-2f));
  p = hn::MulAdd(p, f, hn::Set(tag, 4 * 2.402264791363012E-1f));
  p = hn::MulAdd(p, f, hn::Set(tag, 2 * 6.931472028550421E-1f));
  p = hn::MulAdd(p, f, hn::Set(tag, 1.0f));
  const auto exponent = hn::ShiftLeft<23>(hn::BitCast(bits, shifted));
  const auto power = hn::BitCast(tag, hn::Add(hn::BitCast(bits, p), exponent));
  const auto in_range =
      hn::IfThenZeroElse(hn::Lt(x, hn::Set(tag, -62.5f)), power);
  return hn::IfThenElse(hn::IsNaN(x), x, in_range);
}

void Softcap(float* scores, int64_t n, float cap) {
  const FloatTag tag;
  const auto caps = hn::Set(tag, cap);
  // Below 2^-12 of the cap tanh is its argument to 2^-25. Besides, for large
  // caps score / cap and 1 / cap are denormal, which workers flush to 0.
  const auto linear_below = hn::Set(tag, cap * 0x1p-12f);
  TransformRow(scores, n, [&](Floats score, int64_t) {
    const auto capped = hn::Mul(caps, hn::Tanh(tag, hn::Div(score, caps)));
    const auto is_linear = hn::Lt(hn::Abs(score), linear_below);
    return hn::IfThenElse(is_linear, score, capped);
  });
}

void AddAlibi(float* scores, int64_t n, float slope, double first_distance) {
  const FloatTag tag;
  const auto slopes = hn::Set(tag, slope);
  TransformRow(scores, n, [&](Floats score, int64_t j) {
    const auto start =
        static_cast<float>(first_distance + static_cast<double>(j));
    return hn::MulAdd(slopes, hn::Iota(tag, start), score);
  });
}

void Forbid(float* scores, int64_t n, const uint8_t* allowed) {
  const FloatTag tag;
  const hn::RebindToSigned<FloatTag> ints;
  const hn::Rebind<uint8_t, FloatTag> bytes;
  const auto lanes = static_cast<int64_t>(hn::Lanes(tag));
  TransformRow(scores, n, [&](Floats score, int64_t j) {
    HWY_ALIGN uint8_t rest[HWY_MAX_BYTES / sizeof(float)] = {};
    const uint8_t* flags = allowed + j;
    if (j + lanes > n) {
      std::copy(flags, flags + (n - j), rest);
      flags = rest;
    }
    const auto wide = hn::PromoteTo(ints, hn::LoadU(bytes, flags));
    const auto is_forbidden = hn::RebindMask(tag, hn::Eq(wide, hn::Zero(ints)));
    return hn::IfThenElse(is_forbidden, hn::Set(tag, kMinusInfinity), score);
  });
}

void AddBias(float* scores, int64_t n, const float* bias) {
  const FloatTag tag;
  const auto lanes = static_cast<int64_t>(hn::Lanes(tag));
  const auto minus_infinity = hn::Set(tag, kMinusInfinity);
  TransformRow(scores, n, [&](Floats score, int64_t j) {
    HWY_ALIGN float rest[HWY_MAX_BYTES / sizeof(float)] = {};
    const float* source = bias + j;
    if (j + lanes > n) {
      std::copy(source, source + (n - j), rest);
      source = rest;
    }
    const auto biases = hn::LoadU(tag, source);
    return hn::IfThenElse(hn::Eq(biases, minus_infinity), minus_infinity,
                          hn::Add(score, biases));
  });
}

float RowMax(const float* scores, int64_t n) {
  const FloatTag tag;
  const auto lanes = static_cast<int64_t>(hn::Lanes(tag));
  const auto at = [&](int64_t j) { return hn::LoadU(tag, scores + j); };
  // Four maxima, which hide the latency.
  auto max = hn::Set(tag, kMinusInfinity), b = max, c = max, d = max;
  int64_t j = 0;
  for (; j + 4 * lanes <= n; j += 4 * lanes) {
    max = hn::Max(max, at(j));
    b = hn::Max(b, at(j + lanes));
    c = hn::Max(c, at(j + 2 * lanes));
    d = hn::Max(d, at(j + 3 * lanes));
  }
  for (; j + lanes <= n; j += lanes) max = hn::Max(max, at(j));
  max = hn::Max(hn::Max(max, b), hn::Max(c, d));
  float result = hn::GetLane(hn::MaxOfLanes(tag, max));
  for (; j < n; ++j) result = std::max(result, scores[j]);
  return result;
}

// scores = 4^(scores - max); returns their sum.
float ExponentiateRow(float* scores, int64_t n, float max) {
  const FloatTag tag;
  const auto maxes = hn::Set(tag, max);
  auto sum = hn::Zero(tag);
  TransformRow(scores, n, [&](Floats score, int64_t) {
    const auto power = Exp4(hn::Sub(score, maxes));
    sum = hn::Add(sum, power);
    return power;
  });
  return hn::GetLane(hn::SumOfLanes(tag, sum));
}

void StepTile(const SoftmaxTile& tile) {
  for (int64_t r = 0; r < tile.num_rows; ++r) {
    float* scores = tile.scores + r * tile.stride;
    const float old_max = tile.max[r];
    const float new_max =
        std::max(old_max, std::ceil(RowMax(scores, tile.num_keys)));
    // Before the first allowed key there is nothing to scale, and -inf minus
    // -inf must not arise.
    const float base = new_max == kMinusInfinity ? 0.0f : new_max;
    const float rescale = old_max == new_max || old_max == kMinusInfinity
                              ? 1.0f
                              : std::exp2(2 * (old_max - new_max));
    const float sum = ExponentiateRow(scores, tile.num_keys, base);
    tile.sum[r] =
        tile.sum[r] * static_cast<double>(rescale) + static_cast<double>(sum);
    tile.max[r] = new_max;
    tile.rescale[r] = rescale;
  }
}

void Probabilities(float* scores, int64_t n, float max, float factor) {
  const FloatTag tag;
  const auto maxes = hn::Set(tag, max);
  const auto factors = hn::Set(tag, factor);
  TransformRow(scores, n, [&](Floats score, int64_t) {
    return hn::Mul(Exp4(hn::Sub(score, maxes)), factors);
  });
}

void Scale(float* values, int64_t n, float factor) {
  const auto factors = hn::Set(FloatTag(), factor);
  TransformRow(values, n,
               [&](Floats value, int64_t) { return hn::Mul(value, factors); });
}

}  // namespace attn::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attn {

HWY_EXPORT(Softcap);
HWY_EXPORT(AddAlibi);
HWY_EXPORT(Forbid);
HWY_EXPORT(AddBias);
HWY_EXPORT(StepTile);
HWY_EXPORT(Probabilities);
HWY_EXPORT(Scale);

void SoftcapRow(float* scores, int64_t n, float cap) {
  HWY_DYNAMIC_DISPATCH(Softcap)(scores, n, cap);
}

void AddAlibiRow(float* scores, int64_t n, float slope, double first_distance) {
  HWY_DYNAMIC_DISPATCH(AddAlibi)(scores, n, slope, first_distance);
}

void ForbidRow(float* scores, int64_t n, const std::byte* allowed) {
  HWY_DYNAMIC_DISPATCH(Forbid)
  (scores, n, reinterpret_cast<const uint8_t*>(allowed));
}

void AddBiasRow(float* scores, int64_t n, const float* bias) {
  HWY_DYNAMIC_DISPATCH(AddBias)(scores, n, bias);
}

void ForbidOutside(float* scores, int64_t n, int64_t first_key,
                   const KeyRange& range) {
  const int64_t first = std::clamp<int64_t>(range.first - first_key, 0, n);
  const int64_t last = std::clamp<int64_t>(range.last - first_key, first, n);
  std::fill(scores, scores + first, -INFINITY);
  std::fill(scores + last, scores + n, -INFINITY);
}

void ToLog4Row(float* scores, int64_t n) {
  ScaleRow(scores, n, static_cast<float>(kLog4E));
}

void SoftmaxStep(const SoftmaxTile& tile) {
  HWY_DYNAMIC_DISPATCH(StepTile)(tile);
}

void ProbabilitiesRow(float* scores, int64_t n, float max, float factor) {
  HWY_DYNAMIC_DISPATCH(Probabilities)(scores, n, max, factor);
}

void ScaleRow(float* values, int64_t n, float factor) {
  HWY_DYNAMIC_DISPATCH(Scale)(values, n, factor);
}

}  // namespace attn
#endif  // HWY_ONCE
