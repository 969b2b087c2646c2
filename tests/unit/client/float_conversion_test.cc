#include "client/cpp/float_conversion.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

namespace attn::client {
namespace {

// The value that a binary16 pattern stands for, from its definition.
double ValueOfF16(uint16_t half) {
  const int exponent = (half >> 10) & 0x1f;
  const int mantissa = half & 0x3ff;
  const double sign = (half & 0x8000) != 0 ? -1.0 : 1.0;
  if (exponent == 0x1f) {
    return mantissa != 0 ? std::nan("")
                         : sign * std::numeric_limits<double>::infinity();
  }
  return exponent == 0 ? sign * std::ldexp(mantissa, -24)
                       : sign * std::ldexp(1024 + mantissa, exponent - 25);
}

TEST(FloatConversionTest, EveryF16PatternHasItsDefinedValue) {
  for (uint32_t pattern = 0; pattern < 65536; ++pattern) {
    const auto half = static_cast<uint16_t>(pattern);
    const double expected = ValueOfF16(half);
    const double found = FloatFromF16(half);
    if (std::isnan(expected)) {
      EXPECT_TRUE(std::isnan(found)) << pattern;
    } else {
      EXPECT_EQ(found, expected) << pattern;
      EXPECT_EQ(std::signbit(found), (half & 0x8000) != 0) << pattern;
    }
  }
}

TEST(FloatConversionTest, EveryF16PatternSurvivesTheRoundTrip) {
  for (uint32_t pattern = 0; pattern < 65536; ++pattern) {
    const auto half = static_cast<uint16_t>(pattern);
    ASSERT_EQ(F16FromFloat(FloatFromF16(half)), half);
  }
}

TEST(FloatConversionTest, EveryBf16PatternSurvivesTheRoundTrip) {
  for (uint32_t pattern = 0; pattern < 65536; ++pattern) {
    const auto half = static_cast<uint16_t>(pattern);
    ASSERT_EQ(Bf16FromFloat(FloatFromBf16(half)), half);
  }
}

// Midpoints go to the even neighbour, anything else to the nearer one.
TEST(FloatConversionTest, EveryF16GapRoundsToNearestEven) {
  for (uint32_t pattern = 0; pattern < 0x7bff; ++pattern) {
    const auto low = static_cast<uint16_t>(pattern);
    const auto high = static_cast<uint16_t>(pattern + 1);
    const float middle = (FloatFromF16(low) + FloatFromF16(high)) / 2;
    ASSERT_EQ(F16FromFloat(middle), (low & 1) == 0 ? low : high) << pattern;
    ASSERT_EQ(F16FromFloat(std::nextafter(middle, 0.0F)), low) << pattern;
    ASSERT_EQ(F16FromFloat(std::nextafter(middle, 1e9F)), high) << pattern;
    ASSERT_EQ(F16FromFloat(-middle), F16FromFloat(middle) | 0x8000);
  }
}

TEST(FloatConversionTest, EveryBf16GapRoundsToNearestEven) {
  for (uint32_t pattern = 0; pattern < 0x7f7f; ++pattern) {
    const auto low = static_cast<uint16_t>(pattern);
    const auto high = static_cast<uint16_t>(pattern + 1);
    const auto middle = static_cast<float>(
        (double{FloatFromBf16(low)} + double{FloatFromBf16(high)}) / 2);
    ASSERT_EQ(Bf16FromFloat(middle), (low & 1) == 0 ? low : high) << pattern;
    ASSERT_EQ(Bf16FromFloat(std::nextafter(middle, 0.0F)), low) << pattern;
  }
}

// A hair beside a midpoint, which is lost where an f64 goes by way of f32.
TEST(FloatConversionTest, DoublesRoundOnce) {
  for (uint32_t pattern = 0; pattern < 0x7bff; ++pattern) {
    const auto low = static_cast<uint16_t>(pattern);
    const auto high = static_cast<uint16_t>(pattern + 1);
    const double middle =
        (double{FloatFromF16(low)} + double{FloatFromF16(high)}) / 2;
    ASSERT_EQ(F16FromDouble(middle), (low & 1) == 0 ? low : high) << pattern;
    ASSERT_EQ(F16FromDouble(std::nextafter(middle, 0.0)), low) << pattern;
    ASSERT_EQ(F16FromDouble(std::nextafter(middle, 1e9)), high) << pattern;
    ASSERT_EQ(F16FromDouble(-std::nextafter(middle, 0.0)), low | 0x8000);
  }
  for (uint32_t pattern = 0; pattern < 0x7f7f; ++pattern) {
    const auto low = static_cast<uint16_t>(pattern);
    const auto high = static_cast<uint16_t>(pattern + 1);
    const double middle =
        (double{FloatFromBf16(low)} + double{FloatFromBf16(high)}) / 2;
    ASSERT_EQ(Bf16FromDouble(middle), (low & 1) == 0 ? low : high) << pattern;
    ASSERT_EQ(Bf16FromDouble(std::nextafter(middle, 0.0)), low) << pattern;
    ASSERT_EQ(Bf16FromDouble(std::nextafter(middle, 1e39)), high) << pattern;
  }
}

TEST(FloatConversionTest, DoublesOutOfRangeAreInfiniteOrZero) {
  EXPECT_EQ(F16FromDouble(1e300), 0x7c00);
  EXPECT_EQ(Bf16FromDouble(-1e300), 0xff80);
  EXPECT_EQ(Bf16FromDouble(std::numeric_limits<double>::infinity()), 0x7f80);
  EXPECT_EQ(F16FromDouble(-1e-300), 0x8000);
  EXPECT_EQ(Bf16FromDouble(1e-300), 0);
  EXPECT_TRUE(std::isnan(FloatFromBf16(Bf16FromDouble(std::nan("")))));
}

TEST(FloatConversionTest, OverflowGivesInfinity) {
  EXPECT_EQ(F16FromFloat(65519.0F), 0x7bff);
  EXPECT_EQ(F16FromFloat(65520.0F), 0x7c00);
  EXPECT_EQ(F16FromFloat(-1e30F), 0xfc00);
  EXPECT_EQ(Bf16FromFloat(std::numeric_limits<float>::max()), 0x7f80);
}

TEST(FloatConversionTest, NanWithLowPayloadStaysNan) {
  const float nan = std::bit_cast<float>(0x7f800001U);
  EXPECT_TRUE(std::isnan(FloatFromF16(F16FromFloat(nan))));
  EXPECT_TRUE(std::isnan(FloatFromBf16(Bf16FromFloat(nan))));
}

}  // namespace
}  // namespace attn::client
