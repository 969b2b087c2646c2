#include "core/tensor/conversions.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "core/base/check.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/tensor/conversions.cc"
// foreach_target.h must come first.
// clang-format off
#include "hwy/foreach_target.h"  // Includes this file once per target.
#include "hwy/highway.h"
#include "core/tensor/widen-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace attn::HWY_NAMESPACE {

using HalfTag = hn::Rebind<hwy::float16_t, FloatTag>;
using BitsTag = hn::RebindToUnsigned<FloatTag>;
using HalfBitsTag = hn::Rebind<uint16_t, BitsTag>;

HWY_INLINE void StoreF16(Floats value, uint16_t* to) {
  hn::StoreU(hn::DemoteTo(HalfTag(), value), HalfTag(),
             reinterpret_cast<hwy::float16_t*>(to));
}

// Adds just under half of the last kept bit, and its parity: nearest even.
HWY_INLINE void StoreBF16(Floats value, uint16_t* to) {
  const BitsTag tag;
  const auto bits = hn::BitCast(tag, value);
  const auto upper = hn::ShiftRight<16>(bits);
  const auto parity = hn::And(upper, hn::Set(tag, 1u));
  const auto rounded =
      hn::ShiftRight<16>(hn::Add(bits, hn::Add(parity, hn::Set(tag, 0x7fffu))));
  // Rounding could carry a NaN's payload away; keep it and make it quiet.
  const auto quiet = hn::Or(upper, hn::Set(tag, 0x40u));
  const auto is_nan = hn::RebindMask(tag, hn::IsNaN(value));
  hn::StoreU(
      hn::TruncateTo(HalfBitsTag(), hn::IfThenElse(is_nan, quiet, rounded)),
      HalfBitsTag(), to);
}

// Runs step(i) for every full vector and then a padded copy of the rest.
template <typename From, typename To, typename Step>
void ForEachVector(const From* from, int64_t n, To* to, const Step& step) {
  const auto lanes = static_cast<int64_t>(hn::Lanes(FloatTag()));
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) step(from + i, to + i);
  if (i >= n) return;
  HWY_ALIGN From padded_from[HWY_MAX_BYTES / sizeof(float)] = {};
  HWY_ALIGN To padded_to[HWY_MAX_BYTES / sizeof(float)];
  std::memcpy(padded_from, from + i, static_cast<size_t>(n - i) * sizeof(From));
  step(padded_from, padded_to);
  std::memcpy(to + i, padded_to, static_cast<size_t>(n - i) * sizeof(To));
}

template <typename From>
void Scaled(const From* from, int64_t n, float factor, float* to) {
  const auto factors = hn::Set(FloatTag(), factor);
  ForEachVector(from, n, to, [&](const From* source, float* target) {
    hn::StoreU(hn::Mul(Widen(source), factors), FloatTag(), target);
  });
}

void F32Scaled(const std::byte* from, int64_t n, float factor, float* to) {
  Scaled(reinterpret_cast<const float*>(from), n, factor, to);
}

void F16Scaled(const std::byte* from, int64_t n, float factor, float* to) {
  Scaled(reinterpret_cast<const hwy::float16_t*>(from), n, factor, to);
}

void BF16Scaled(const std::byte* from, int64_t n, float factor, float* to) {
  Scaled(reinterpret_cast<const hwy::bfloat16_t*>(from), n, factor, to);
}

void ToF16(const float* from, int64_t n, uint16_t* to) {
  ForEachVector(from, n, to, [](const float* source, uint16_t* target) {
    StoreF16(Widen(source), target);
  });
}

void ToBF16(const float* from, int64_t n, uint16_t* to) {
  ForEachVector(from, n, to, [](const float* source, uint16_t* target) {
    StoreBF16(Widen(source), target);
  });
}

}  // namespace attn::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attn {

HWY_EXPORT(F32Scaled);
HWY_EXPORT(F16Scaled);
HWY_EXPORT(BF16Scaled);
HWY_EXPORT(ToF16);
HWY_EXPORT(ToBF16);

namespace {

void StoreF64(double value, std::byte* to) {
  std::memcpy(to, &value, sizeof(value));
}

// Rounded to odd: what is rounded again afterwards, to fewer bits, comes out as
// if it had been rounded once (Boldo and Melquiond, 2008).
float RoundToOdd(double value) {
  const auto nearest = static_cast<float>(value);
  if (double{nearest} == value || !std::isfinite(nearest)) return nearest;
  const bool is_beyond = std::fabs(double{nearest}) > std::fabs(value);
  const float truncated = is_beyond ? std::nextafter(nearest, 0.0f) : nearest;
  return std::bit_cast<float>(std::bit_cast<uint32_t>(truncated) | 1u);
}

}  // namespace

void ConvertToF32(DataType dtype, const std::byte* from, int64_t n,
                  float factor, float* to) {
  if (dtype == DataType::kF32) {
    HWY_DYNAMIC_DISPATCH(F32Scaled)(from, n, factor, to);
  } else if (dtype == DataType::kF16) {
    HWY_DYNAMIC_DISPATCH(F16Scaled)(from, n, factor, to);
  } else {
    ATTN_CHECK(dtype == DataType::kBF16);
    HWY_DYNAMIC_DISPATCH(BF16Scaled)(from, n, factor, to);
  }
}

void ConvertFromF32(const float* from, int64_t n, DataType dtype,
                    std::byte* to) {
  if (n == 0) return;  // An empty tensor may lie at null.
  if (dtype == DataType::kF32) {
    std::memcpy(to, from, static_cast<size_t>(n) * sizeof(float));
  } else if (dtype == DataType::kF64) {
    for (int64_t i = 0; i < n; ++i) StoreF64(double{from[i]}, to + i * 8);
  } else if (dtype == DataType::kF16) {
    HWY_DYNAMIC_DISPATCH(ToF16)(from, n, reinterpret_cast<uint16_t*>(to));
  } else {
    ATTN_CHECK(dtype == DataType::kBF16);
    HWY_DYNAMIC_DISPATCH(ToBF16)(from, n, reinterpret_cast<uint16_t*>(to));
  }
}

void ConvertToF64(DataType dtype, const std::byte* from, int64_t n,
                  double* to) {
  if (n == 0) return;  // An empty tensor may lie at null.
  if (dtype == DataType::kF64) {
    std::memcpy(to, from, static_cast<size_t>(n) * sizeof(double));
    return;
  }
  constexpr int64_t kChunk = 64;
  float narrow[kChunk];
  for (int64_t i = 0; i < n; i += kChunk) {
    const int64_t count = std::min(kChunk, n - i);
    ConvertToF32(dtype, from + i * ElementBytes(dtype), count, 1.0f, narrow);
    std::copy(narrow, narrow + count, to + i);
  }
}

void ConvertFromF64(const double* from, int64_t n, DataType dtype,
                    std::byte* to) {
  if (n == 0) return;  // An empty tensor may lie at null.
  if (dtype == DataType::kF64) {
    std::memcpy(to, from, static_cast<size_t>(n) * sizeof(double));
    return;
  }
  for (int64_t i = 0; i < n; ++i) {
    const float value = dtype == DataType::kF32 ? static_cast<float>(from[i])
                                                : RoundToOdd(from[i]);
    ConvertFromF32(&value, 1, dtype, to + i * ElementBytes(dtype));
  }
}

float F16ToF32(uint16_t bits) {
  float value;
  ConvertToF32(DataType::kF16, reinterpret_cast<const std::byte*>(&bits), 1,
               1.0f, &value);
  return value;
}

uint16_t F32ToF16(float value) {
  uint16_t bits;
  ConvertFromF32(&value, 1, DataType::kF16,
                 reinterpret_cast<std::byte*>(&bits));
  return bits;
}

float BF16ToF32(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

uint16_t F32ToBF16(float value) {
  uint16_t bits;
  ConvertFromF32(&value, 1, DataType::kBF16,
                 reinterpret_cast<std::byte*>(&bits));
  return bits;
}

}  // namespace attn
#endif  // HWY_ONCE
