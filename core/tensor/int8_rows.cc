#include "core/tensor/int8_rows.h"

#include <algorithm>
#include <bit>
#include <cfloat>
#include <cstring>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/tensor/int8_rows.cc"
// foreach_target.h must come first.
// clang-format off
#include "hwy/foreach_target.h"  // Includes this file once per target.
#include "hwy/highway.h"
#include "core/tensor/widen-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace attn::HWY_NAMESPACE {
using CodeTag = hn::Rebind<int8_t, FloatTag>;

// The largest |x|; NaN if any is NaN or infinite (times 0 that is NaN, which
// stays in the sum).
float LargestFinite(const float* from, int64_t n) {
  const FloatTag tag;
  const auto lanes = static_cast<int64_t>(hn::Lanes(tag));
  auto largest = hn::Zero(tag);
  auto poison = hn::Zero(tag);
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    const auto x = hn::LoadU(tag, from + i);
    largest = hn::Max(largest, hn::Abs(x));
    poison = hn::MulAdd(x, hn::Zero(tag), poison);
  }
  float rest = 0, rest_poison = 0;
  for (; i < n; ++i) {
    rest = std::max(rest, std::fabs(from[i]));
    rest_poison += from[i] * 0.0f;
  }
  return std::max(rest, hn::GetLane(hn::MaxOfLanes(tag, largest))) +
         hn::GetLane(hn::SumOfLanes(tag, poison)) + rest_poison;
}

// REQUIRES: |from[i] / scale| < 128.
void Encode(const float* from, int64_t n, float scale, int8_t* codes) {
  const FloatTag tag;
  const auto lanes = static_cast<int64_t>(hn::Lanes(tag));
  const auto scales = hn::Set(tag, scale);
  const auto most = hn::Set(tag, 127.0f);
  const auto step = [&](const float* source, int8_t* target) {
    const auto code = hn::Div(hn::LoadU(tag, source), scales);
    const auto bounded = hn::Max(hn::Min(code, most), hn::Neg(most));
    hn::StoreU(hn::DemoteTo(CodeTag(), hn::NearestInt(bounded)), CodeTag(),
               target);
  };
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) step(from + i, codes + i);
  if (i >= n) return;
  HWY_ALIGN float padded[HWY_MAX_BYTES / sizeof(float)] = {};
  HWY_ALIGN int8_t padded_codes[HWY_MAX_BYTES / sizeof(float)];
  std::memcpy(padded, from + i, static_cast<size_t>(n - i) * sizeof(float));
  step(padded, padded_codes);
  std::memcpy(codes + i, padded_codes, static_cast<size_t>(n - i));
}

// Four vectors a step: a row of 64 tokens is no more than that.
HWY_INLINE void Decode(const int8_t* codes, int64_t n, float scale, float* to) {
  const FloatTag tag;
  const auto lanes = static_cast<int64_t>(hn::Lanes(tag));
  const auto scales = hn::Set(tag, scale);
  const auto step = [&](int64_t i) {
    hn::StoreU(hn::Mul(Widen(codes + i), scales), tag, to + i);
  };
  int64_t i = 0;
  for (; i + 4 * lanes <= n; i += 4 * lanes) {
    step(i);
    step(i + lanes);
    step(i + 2 * lanes);
    step(i + 3 * lanes);
  }
  for (; i + lanes <= n; i += lanes) step(i);
  for (; i < n; ++i) to[i] = static_cast<float>(codes[i]) * scale;
}

void DecodeRows(const Int8Rows& from, const Int8Part& part, float* to,
                int64_t stride) {
  for (int64_t row = 0; row < part.num_rows; ++row) {
    float* target = to + row * stride;
    if (from.IsMarked(row)) {
      for (int64_t i = 0; i < part.n; ++i) {
        target[i] = from.At(row, part.first + i);
      }
      continue;
    }
    Decode(from.codes + row * from.length + part.first, part.n,
           from.scales[row], target);
  }
}

}  // namespace attn::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attn {

HWY_EXPORT(LargestFinite);
HWY_EXPORT(Encode);
HWY_EXPORT(DecodeRows);

namespace {

// Codes of a marked row; its finite elements use those between -127 and 127.
constexpr int8_t kNan = -128;
constexpr int8_t kMinusInfinity = -127;
constexpr int8_t kPlusInfinity = 127;

// largest / most, 0 for what kernels count as 0. Rounding up must not make the
// largest element infinite.
float ScaleFor(float largest, float most) {
  const float scale = largest / most;
  if (scale < FLT_MIN) return 0;
  return std::isinf(scale * most) ? std::nextafter(scale, 0.0f) : scale;
}

int8_t MarkedCode(float x, float scale) {
  if (std::isnan(x)) return kNan;
  if (std::isinf(x)) return x > 0 ? kPlusInfinity : kMinusInfinity;
  if (scale == 0) return 0;
  return static_cast<int8_t>(
      std::clamp(std::nearbyint(x / scale), -126.0f, 126.0f));
}

float PackMarkedRow(const float* from, int64_t n, int8_t* codes) {
  float largest = 0;
  for (int64_t i = 0; i < n; ++i) {
    if (std::isfinite(from[i])) largest = std::max(largest, std::fabs(from[i]));
  }
  const float scale = ScaleFor(largest, 126.0f);
  for (int64_t i = 0; i < n; ++i) codes[i] = MarkedCode(from[i], scale);
  return -scale;
}

}  // namespace

float Int8Rows::At(int64_t row, int64_t i) const {
  const int8_t code = codes[row * length + i];
  if (IsMarked(row)) {
    constexpr float kInfinity = std::numeric_limits<float>::infinity();
    if (code == kNan) return std::numeric_limits<float>::quiet_NaN();
    if (code == kPlusInfinity) return kInfinity;
    if (code == kMinusInfinity) return -kInfinity;
  }
  return static_cast<float>(code) * std::fabs(scales[row]);
}

// The signs of all in one word: decode kernels ask it for every page.
bool HasMarkedRow(const float* scales, int64_t n) {
  uint32_t bits = 0;
  for (int64_t i = 0; i < n; ++i) bits |= std::bit_cast<uint32_t>(scales[i]);
  return bits >> 31 != 0;
}

float PackRow(const float* from, int64_t n, int8_t* codes) {
  const float largest = HWY_DYNAMIC_DISPATCH(LargestFinite)(from, n);
  if (std::isnan(largest)) return PackMarkedRow(from, n, codes);
  const float scale = ScaleFor(largest, 127.0f);
  if (scale == 0) {
    std::fill(codes, codes + n, int8_t{0});
  } else {
    HWY_DYNAMIC_DISPATCH(Encode)(from, n, scale, codes);
  }
  return scale;
}

void WidenRows(const Int8Rows& from, const Int8Part& part, float* to,
               int64_t stride) {
  HWY_DYNAMIC_DISPATCH(DecodeRows)(from, part, to, stride);
}

}  // namespace attn
#endif  // HWY_ONCE
