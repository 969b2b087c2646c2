// Every 16-bit pattern, both ways, against a scalar reference that shares no
// code with the conversions: it computes values from the fields of the formats.
#include "core/tensor/conversions.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "core/base/isa.h"
#include "gtest/gtest.h"
#include "hwy/highway.h"
#include "tests/support/random.h"
#include "tests/support/sizes.h"
#include "tests/unit/core/tensor/float_format.h"

namespace attn {
namespace {

// The pattern nearest to `value`, ties to the even one; found by bisection over
// the patterns, which grow with the values that they spell.
uint16_t NearestBits(const Format& format, float value) {
  const double magnitude = std::fabs(static_cast<double>(value));
  const auto sign = static_cast<uint16_t>(std::signbit(value) ? 0x8000 : 0);
  uint16_t low = 0;
  uint16_t high = format.infinity();
  while (high - low > 1) {
    const auto middle = static_cast<uint16_t>((low + high) / 2);
    (ValueOf(format, middle) <= magnitude ? low : high) = middle;
  }
  // Rounding meets infinity where the next step would be.
  const double above = high == format.infinity()
                           ? 2 * ValueOf(format, low) -
                                 ValueOf(format, static_cast<uint16_t>(low - 1))
                           : ValueOf(format, high);
  const double to_low = magnitude - ValueOf(format, low);
  const double to_high = above - magnitude;
  const bool takes_high =
      to_high < to_low || (to_high == to_low && high % 2 == 0);
  return static_cast<uint16_t>(sign | (takes_high ? high : low));
}

std::vector<float> Widen(const Format& format,
                         const std::vector<uint16_t>& from) {
  std::vector<float> to(from.size());
  ConvertToF32(format.dtype, reinterpret_cast<const std::byte*>(from.data()),
               static_cast<int64_t>(from.size()), 1.0f, to.data());
  return to;
}

std::vector<uint16_t> Narrow(const Format& format,
                             const std::vector<float>& from) {
  std::vector<uint16_t> to(from.size());
  ConvertFromF32(from.data(), static_cast<int64_t>(from.size()), format.dtype,
                 reinterpret_cast<std::byte*>(to.data()));
  return to;
}

std::vector<uint16_t> AllPatterns() {
  std::vector<uint16_t> all;
  for (int bits = 0; bits < 65536; ++bits) {
    all.push_back(static_cast<uint16_t>(bits));
  }
  return all;
}

bool IsNanPattern(const Format& format, uint16_t bits) {
  return (bits & 0x7fff) > format.infinity();
}

// Floats on, just below and just above every pattern and every midpoint.
std::vector<float> RoundingCases(const Format& format) {
  std::vector<float> values;
  for (uint16_t bits = 0; bits < format.infinity(); ++bits) {
    const auto next = static_cast<uint16_t>(bits + 1);
    const auto here = static_cast<float>(ValueOf(format, bits));
    const double there =
        next == format.infinity()
            ? 2.0 * static_cast<double>(here) - ValueOf(format, bits - 1)
            : ValueOf(format, next);
    const auto middle =
        static_cast<float>((static_cast<double>(here) + there) / 2);
    for (const float value : {here, middle}) {
      values.push_back(value);
      values.push_back(-std::nextafterf(value, INFINITY));
      values.push_back(std::nextafterf(value, 0.0f));
    }
  }
  return values;
}

class ConversionsTest : public testing::TestWithParam<Format> {};

TEST_P(ConversionsTest, EveryPatternWidensExactly) {
  const std::vector<uint16_t> patterns = AllPatterns();
  const std::vector<float> widened = Widen(GetParam(), patterns);
  for (size_t i = 0; i < patterns.size(); ++i) {
    const double expected = ValueOf(GetParam(), patterns[i]);
    const auto got = static_cast<double>(widened[i]);
    ASSERT_EQ(std::isnan(got), std::isnan(expected)) << std::hex << i;
    if (std::isnan(expected)) continue;
    ASSERT_EQ(got, expected) << std::hex << i;
    ASSERT_EQ(std::signbit(got), std::signbit(expected)) << std::hex << i;
  }
}

TEST_P(ConversionsTest, EveryPatternSurvivesTheRoundTrip) {
  const std::vector<uint16_t> patterns = AllPatterns();
  const std::vector<uint16_t> back =
      Narrow(GetParam(), Widen(GetParam(), patterns));
  for (size_t i = 0; i < patterns.size(); ++i) {
    if (IsNanPattern(GetParam(), patterns[i])) {
      ASSERT_TRUE(IsNanPattern(GetParam(), back[i])) << std::hex << i;
    } else {
      ASSERT_EQ(back[i], patterns[i]);
    }
  }
}

TEST_P(ConversionsTest, NarrowingRoundsToNearestEven) {
  const std::vector<float> values = RoundingCases(GetParam());
  const std::vector<uint16_t> narrow = Narrow(GetParam(), values);
  for (size_t i = 0; i < values.size(); ++i) {
    ASSERT_EQ(narrow[i], NearestBits(GetParam(), values[i]))
        << std::hexfloat << values[i];
  }
}

TEST_P(ConversionsTest, NarrowingRandomBitsIsNearest) {
  test::Random random(3);
  std::vector<float> values;
  for (int64_t i = 0; i < test::Scaled(400000, 40000); ++i) {
    const auto value =
        std::bit_cast<float>(static_cast<uint32_t>(random.Next()));
    values.push_back(std::isnan(value) ? 0.0f : value);
  }
  const std::vector<uint16_t> narrow = Narrow(GetParam(), values);
  for (size_t i = 0; i < values.size(); ++i) {
    ASSERT_EQ(narrow[i], NearestBits(GetParam(), values[i]))
        << std::hexfloat << values[i];
  }
}

TEST_P(ConversionsTest, EveryKindOfNanStaysNan) {
  std::vector<float> values;
  for (const uint32_t bits :
       {0x7fc00000u, 0xffc00000u, 0x7f800001u, 0x7fbfffffu, 0xff800001u,
        0x7fffffffu, 0xffffffffu}) {
    values.push_back(std::bit_cast<float>(bits));
  }
  for (const uint16_t bits : Narrow(GetParam(), values)) {
    EXPECT_TRUE(IsNanPattern(GetParam(), bits)) << std::hex << bits;
  }
}

// Every length up to a few vectors, at every element offset; what lies beside
// the target is not touched.
TEST_P(ConversionsTest, OddLengthsAndMisalignedPointersGiveTheSame) {
  test::Random random(4);
  std::vector<uint16_t> halves(128);
  for (uint16_t& half : halves) {
    half = static_cast<uint16_t>(random.Between(0x3000, 0x4fff));
  }
  const std::vector<float> widened = Widen(GetParam(), halves);
  for (int64_t n = 0; n <= 70; ++n) {
    for (int64_t offset = 0; offset < 20; ++offset) {
      std::vector<float> to(128, -7.0f);
      ConvertToF32(GetParam().dtype,
                   reinterpret_cast<const std::byte*>(halves.data() + offset),
                   n, 1.0f, to.data() + offset);
      std::vector<uint16_t> back(128, 0xdead);
      ConvertFromF32(to.data() + offset, n, GetParam().dtype,
                     reinterpret_cast<std::byte*>(back.data() + offset));
      for (int64_t i = 0; i < 128; ++i) {
        const auto at = static_cast<size_t>(i);
        const bool is_inside = offset <= i && i < offset + n;
        ASSERT_EQ(to[at], is_inside ? widened[at] : -7.0f) << n << " " << i;
        ASSERT_EQ(back[at], is_inside ? halves[at] : 0xdead) << n << " " << i;
      }
    }
  }
}

TEST_P(ConversionsTest, FactorIsRoundedOnce) {
  test::Random random(5);
  std::vector<uint16_t> halves(1000);
  for (uint16_t& half : halves) {
    half = static_cast<uint16_t>(random.Between(0x3000, 0x4fff));
  }
  const float factor = 0.08838834764f;
  std::vector<float> scaled(halves.size());
  ConvertToF32(GetParam().dtype,
               reinterpret_cast<const std::byte*>(halves.data()), 1000, factor,
               scaled.data());
  for (size_t i = 0; i < halves.size(); ++i) {
    const double exact =
        ValueOf(GetParam(), halves[i]) * static_cast<double>(factor);
    ASSERT_EQ(scaled[i], static_cast<float>(exact)) << i;
  }
}

// Restores what Highway may choose.
class UncapAtExit {
 public:
  ~UncapAtExit() {
    hwy::DisableTargets(0);
    hwy::GetChosenTarget().DeInit();
  }
};

TEST_P(ConversionsTest, CappedToAvx2GivesTheSameBits) {
  const UncapAtExit uncap;
  const std::vector<float> values = RoundingCases(GetParam());
  const std::vector<uint16_t> patterns = AllPatterns();
  const std::string uncapped_isa = ChosenSimdIsa();
  const auto narrow = Narrow(GetParam(), values);
  const auto wide = Widen(GetParam(), patterns);
  CapSimdIsa(Isa::kAvx2);
  if (ChosenSimdIsa() == uncapped_isa) GTEST_SKIP() << "only " << uncapped_isa;
  EXPECT_TRUE(narrow == Narrow(GetParam(), values));
  const auto capped_wide = Widen(GetParam(), patterns);
  EXPECT_EQ(std::memcmp(wide.data(), capped_wide.data(), wide.size() * 4), 0);
}

INSTANTIATE_TEST_SUITE_P(Formats, ConversionsTest,
                         testing::Values(kHalf, kBrain),
                         [](const auto& param_info) {
                           return std::string(
                               DataTypeName(param_info.param.dtype));
                         });

TEST(ConversionsF32Test, CopiesBitsAndScales) {
  const float from[] = {1.5f, -0.0f, INFINITY, 3e-39f};
  std::byte to[sizeof(from)];
  ConvertFromF32(from, 4, DataType::kF32, to);
  EXPECT_EQ(std::memcmp(from, to, sizeof(from)), 0);
  float scaled[4];
  ConvertToF32(DataType::kF32, to, 4, 2.0f, scaled);
  EXPECT_EQ(scaled[0], 3.0f);
  EXPECT_TRUE(std::signbit(scaled[1]));
  EXPECT_EQ(scaled[2], INFINITY);
  EXPECT_EQ(scaled[3], 2 * from[3]);
}

TEST(ConversionsScalarTest, AgreeWithTheRows) {
  EXPECT_EQ(F16ToF32(0x3c00), 1.0f);
  EXPECT_EQ(F32ToF16(65520.0f), 0x7c00);
  EXPECT_EQ(F32ToF16(65519.0f), 0x7bff);
  EXPECT_EQ(BF16ToF32(0x3f80), 1.0f);
  EXPECT_EQ(F32ToBF16(1.00390625f), 0x3f80);
  EXPECT_EQ(F32ToBF16(3.4e38f), 0x7f80);
}

TEST(ConversionsDeathTest, IntegersAreABrokenPromise) {
  const std::byte from[8] = {};
  float to[1];
  EXPECT_DEATH(ConvertToF32(DataType::kI32, from, 1, 1.0f, to), "CHECK failed");
}

}  // namespace
}  // namespace attn
