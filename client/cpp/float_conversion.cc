#include "client/cpp/float_conversion.h"

#include <bit>
#include <cmath>

namespace attn::client {
namespace {

constexpr uint32_t kInfinity = 0x7f800000;
constexpr uint32_t kHalfOverflow = 0x477ff000;     // 65520 rounds to infinity.
constexpr uint32_t kHalfSmallNormal = 0x38800000;  // 2^-14

// The payload bits that fit; never zero, which would make an infinity.
uint32_t NanPayload(uint32_t payload, uint32_t quiet_bit) {
  return payload != 0 ? payload : quiet_bit;
}

// Towards zero, with the last bit set where something was cut off: rounding the
// result to a format at least two bits shorter is then as rounding `value`.
float RoundToOdd(double value) {
  const auto nearest = static_cast<float>(value);
  const auto back = static_cast<double>(nearest);
  if (back == value) {
    return nearest;
  }
  uint32_t bits = std::bit_cast<uint32_t>(nearest);
  if (std::fabs(back) > std::fabs(value)) {
    --bits;
  }
  return std::bit_cast<float>(bits | 1);
}

}  // namespace

uint16_t F16FromFloat(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint32_t sign = (bits >> 16) & 0x8000;
  uint32_t magnitude = bits & 0x7fffffff;
  uint32_t half = 0;
  if (magnitude > kInfinity) {
    half = 0x7c00 | NanPayload((magnitude >> 13) & 0x3ff, 0x200);
  } else if (magnitude >= kHalfOverflow) {
    half = 0x7c00;
  } else if (magnitude < kHalfSmallNormal) {
    // The unit of 0.5f's last place is 2^-24, the unit of a subnormal half:
    // the addition itself rounds.
    const float sum = std::bit_cast<float>(magnitude) + 0.5F;
    half = std::bit_cast<uint32_t>(sum) - std::bit_cast<uint32_t>(0.5F);
  } else {
    const uint32_t odd = (magnitude >> 13) & 1;
    magnitude += 0xfff + odd;
    half = (magnitude - (112U << 23)) >> 13;
  }
  return static_cast<uint16_t>(sign | half);
}

uint16_t F16FromDouble(double value) { return F16FromFloat(RoundToOdd(value)); }

float FloatFromF16(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000) << 16;
  const uint32_t exponent = (half >> 10) & 0x1f;
  const uint32_t mantissa = half & 0x3ff;
  uint32_t magnitude = 0;
  if (exponent == 0) {
    constexpr float kUnit = 0x1p-24F;
    magnitude = std::bit_cast<uint32_t>(static_cast<float>(mantissa) * kUnit);
  } else if (exponent == 0x1f) {
    magnitude = kInfinity | (mantissa << 13);
  } else {
    magnitude = ((exponent + 112) << 23) | (mantissa << 13);
  }
  return std::bit_cast<float>(sign | magnitude);
}

uint16_t Bf16FromFloat(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7fffffff) > kInfinity) {
    const uint32_t payload = NanPayload((bits >> 16) & 0x7f, 0x40);
    return static_cast<uint16_t>(((bits >> 16) & 0xff80) | payload);
  }
  const uint32_t odd = (bits >> 16) & 1;
  return static_cast<uint16_t>((bits + 0x7fff + odd) >> 16);
}

uint16_t Bf16FromDouble(double value) {
  return Bf16FromFloat(RoundToOdd(value));
}

float FloatFromBf16(uint16_t half) {
  return std::bit_cast<float>(static_cast<uint32_t>(half) << 16);
}

}  // namespace attn::client
