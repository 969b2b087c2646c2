// f64 to and from every float dtype. Narrowing must round once: by way of f32 a
// number just beside the middle of two neighbours would go to the even one.
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "core/tensor/conversions.h"
#include "gtest/gtest.h"
#include "tests/support/random.h"
#include "tests/support/sizes.h"
#include "tests/unit/core/tensor/float_format.h"

namespace attn {
namespace {

std::vector<uint16_t> Narrow(const Format& format,
                             const std::vector<double>& from) {
  std::vector<uint16_t> to(from.size());
  ConvertFromF64(from.data(), static_cast<int64_t>(from.size()), format.dtype,
                 reinterpret_cast<std::byte*>(to.data()));
  return to;
}

// The value of a pattern; of infinity, where the next number would be.
double Step(const Format& format, uint16_t bits) {
  if (bits != format.infinity()) return ValueOf(format, bits);
  return 2 * ValueOf(format, static_cast<uint16_t>(bits - 1)) -
         ValueOf(format, static_cast<uint16_t>(bits - 2));
}

// Exact: neighbours and their middle are f64 numbers with bits to spare.
uint16_t NearestBits(const Format& format, double value) {
  const double magnitude = std::fabs(value);
  const auto sign = static_cast<uint16_t>(std::signbit(value) ? 0x8000 : 0);
  uint16_t low = 0;
  uint16_t high = format.infinity();
  while (high - low > 1) {
    const auto between = static_cast<uint16_t>((low + high) / 2);
    (Step(format, between) <= magnitude ? low : high) = between;
  }
  const double middle = (Step(format, low) + Step(format, high)) / 2;
  const bool takes_high =
      magnitude > middle || (magnitude == middle && high % 2 == 0);
  return static_cast<uint16_t>(sign | (takes_high ? high : low));
}

void ExpectNearest(const Format& format, const std::vector<double>& values) {
  const std::vector<uint16_t> narrow = Narrow(format, values);
  for (size_t i = 0; i < values.size(); ++i) {
    ASSERT_EQ(narrow[i], NearestBits(format, values[i]))
        << std::hexfloat << values[i];
  }
}

class ConversionsF64Test : public testing::TestWithParam<Format> {};

TEST_P(ConversionsF64Test, EveryPatternSurvivesTheRoundTrip) {
  for (int bits = 0; bits < 65536; ++bits) {
    const auto pattern = static_cast<uint16_t>(bits);
    const double expected = ValueOf(GetParam(), pattern);
    double wide = 0;
    ConvertToF64(GetParam().dtype, reinterpret_cast<const std::byte*>(&pattern),
                 1, &wide);
    if (std::isnan(expected)) {
      ASSERT_TRUE(std::isnan(wide)) << bits;
      ASSERT_TRUE(
          std::isnan(ValueOf(GetParam(), Narrow(GetParam(), {wide})[0])))
          << bits;
      continue;
    }
    ASSERT_EQ(wide, expected) << bits;
    ASSERT_EQ(Narrow(GetParam(), {wide})[0], pattern) << bits;
  }
}

// f32 cannot tell these from the middle itself.
TEST_P(ConversionsF64Test, JustBesideEveryMiddleRoundsToTheNearerOne) {
  std::vector<double> values;
  for (uint16_t bits = 0; bits < GetParam().infinity(); ++bits) {
    const double middle = (Step(GetParam(), bits) +
                           Step(GetParam(), static_cast<uint16_t>(bits + 1))) /
                          2;
    for (const double value :
         {middle, std::nextafter(middle, 0.0), std::nextafter(middle, INFINITY),
          middle * (1 + 0x1p-30), middle * (1 - 0x1p-30)}) {
      values.push_back(value);
      values.push_back(-value);
    }
  }
  ExpectNearest(GetParam(), values);
}

TEST_P(ConversionsF64Test, RandomNumbersOfEverySizeRoundToNearest) {
  constexpr uint64_t kSeed = 6;
  SCOPED_TRACE(testing::Message() << "seed " << kSeed);
  test::Random random(kSeed);
  std::vector<double> values;
  for (int64_t i = 0; i < test::Scaled(300000, 30000); ++i) {
    const auto power = static_cast<int>(random.Between(-180, 180));
    values.push_back(std::ldexp(random.Gaussian(), power));
  }
  ExpectNearest(GetParam(), values);
}

TEST_P(ConversionsF64Test, ExtremesBecomeZeroAndInfinity) {
  const uint16_t infinity = GetParam().infinity();
  const std::vector<uint16_t> got =
      Narrow(GetParam(), {1e300, -1e300, INFINITY, 1e-300, -1e-300, 0.0, -0.0});
  const auto minus = [](uint16_t bits) {
    return static_cast<uint16_t>(bits | 0x8000);
  };
  EXPECT_EQ(got, (std::vector<uint16_t>{infinity, minus(infinity), infinity, 0,
                                        0x8000, 0, 0x8000}));
}

TEST_P(ConversionsF64Test, WideningIsRightForEveryLength) {
  test::Random random(8);
  std::vector<uint16_t> halves(200);
  for (uint16_t& half : halves) {
    half = static_cast<uint16_t>(random.Between(0x3000, 0x4fff));
  }
  for (size_t n = 0; n <= 140; ++n) {
    std::vector<double> wide(200, -7);
    ConvertToF64(GetParam().dtype,
                 reinterpret_cast<const std::byte*>(halves.data() + 1),
                 static_cast<int64_t>(n), wide.data());
    for (size_t i = 0; i < wide.size(); ++i) {
      const double expected = i < n ? ValueOf(GetParam(), halves[i + 1]) : -7;
      ASSERT_EQ(wide[i], expected) << n << " at " << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Formats, ConversionsF64Test,
                         testing::Values(kHalf, kBrain),
                         [](const auto& param_info) {
                           return std::string(
                               DataTypeName(param_info.param.dtype));
                         });

TEST(ConversionsF64ToF32Test, RoundsToNearestEven) {
  const double from[] = {
      1 + 0x1p-24, 1 + 0x1p-24 + 0x1p-52, 1 + 3 * 0x1p-24, 1e39, -1e-50, 0.1};
  float to[6];
  ConvertFromF64(from, 6, DataType::kF32, reinterpret_cast<std::byte*>(to));
  EXPECT_EQ(to[0], 1.0f);
  EXPECT_EQ(to[1], 1 + 0x1p-23f);
  EXPECT_EQ(to[2], 1 + 0x1p-22f);
  EXPECT_EQ(to[3], INFINITY);
  EXPECT_EQ(to[4], 0.0f);
  EXPECT_TRUE(std::signbit(to[4]));
  EXPECT_EQ(to[5], 0.1f);
}

TEST(ConversionsF64ToF64Test, KeepsEveryBitAtAnyAlignment) {
  const uint64_t from[] = {0x7ff8000000abcdef, 0x8000000000000000,
                           0x0000000000000001, 0x3ff123456789abcd};
  std::byte bytes[sizeof(from) + 1];
  double wide[4];
  std::memcpy(bytes + 1, from, sizeof(from));
  ConvertToF64(DataType::kF64, bytes + 1, 4, wide);
  EXPECT_EQ(std::memcmp(wide, from, sizeof(from)), 0);
  std::byte back[sizeof(from) + 1];
  ConvertFromF64(wide, 4, DataType::kF64, back + 1);
  EXPECT_EQ(std::memcmp(back + 1, from, sizeof(from)), 0);
}

// Under UBSan a memcpy from or to null is an error.
TEST(ConversionsOfNothingTest, MayLieAtNull) {
  for (const DataType dtype :
       {DataType::kF32, DataType::kF16, DataType::kBF16, DataType::kF64}) {
    ConvertToF64(dtype, nullptr, 0, nullptr);
    ConvertFromF64(nullptr, 0, dtype, nullptr);
    ConvertFromF32(nullptr, 0, dtype, nullptr);
  }
}

TEST(ConversionsF32ToF64Test, IsExactAndMayLieAnywhere) {
  const float from[] = {0.1f, -3e38f, 1e-45f};
  std::byte bytes[3 * 8 + 1];
  ConvertFromF32(from, 3, DataType::kF64, bytes + 1);
  double wide[3];
  std::memcpy(wide, bytes + 1, sizeof(wide));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(wide[i], double{from[i]});
}

}  // namespace
}  // namespace attn
