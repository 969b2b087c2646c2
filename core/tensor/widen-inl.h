// One vector of f32 out of every form in which tensors and pages keep their
// elements: f32, f16, bf16 and int8 codes. At any alignment, since wire tensors
// may lie anywhere. Widening is exact. For SIMD files alone, once per target.
#if defined(ATTN_CORE_TENSOR_WIDEN_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ATTN_CORE_TENSOR_WIDEN_INL_H_
#undef ATTN_CORE_TENSOR_WIDEN_INL_H_
#else
#define ATTN_CORE_TENSOR_WIDEN_INL_H_
#endif

#include <cstdint>

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace attn::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using FloatTag = hn::ScalableTag<float>;
using Floats = hn::Vec<FloatTag>;

HWY_INLINE int64_t NumLanes() {
  return static_cast<int64_t>(hn::Lanes(FloatTag()));
}

HWY_INLINE Floats Widen(const float* from) {
  return hn::LoadU(FloatTag(), from);
}

HWY_INLINE Floats Widen(const hwy::float16_t* from) {
  const hn::Rebind<hwy::float16_t, FloatTag> tag;
  return hn::PromoteTo(FloatTag(), hn::LoadU(tag, from));
}

HWY_INLINE Floats Widen(const hwy::bfloat16_t* from) {
  const hn::RebindToUnsigned<FloatTag> bits;
  const hn::Rebind<uint16_t, FloatTag> tag;
  const auto* halves = reinterpret_cast<const uint16_t*>(from);
  const auto wide = hn::PromoteTo(bits, hn::LoadU(tag, halves));
  return hn::BitCast(FloatTag(), hn::ShiftLeft<16>(wide));
}

// Codes without their row's scale.
HWY_INLINE Floats Widen(const int8_t* from) {
  const hn::Rebind<int8_t, FloatTag> tag;
  const hn::RebindToSigned<FloatTag> ints;
  return hn::ConvertTo(FloatTag(), hn::PromoteTo(ints, hn::LoadU(tag, from)));
}

}  // namespace attn::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // ATTN_CORE_TENSOR_WIDEN_INL_H_
