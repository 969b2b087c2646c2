#include "core/tensor/int8_rows.h"

#include <bit>
#include <cfloat>
#include <cmath>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/random.h"

namespace attn {
namespace {

using testing::Each;
using testing::ElementsAre;

// One row, packed; guards against writes behind it.
struct PackedRow {
  explicit PackedRow(const std::vector<float>& from)
      : codes(from.size() + 1, kGuard) {
    scale = PackRow(from.data(), std::ssize(from), codes.data());
    EXPECT_EQ(codes.back(), kGuard);
    codes.pop_back();
  }

  Int8Rows View() const { return {codes.data(), &scale, std::ssize(codes)}; }
  std::vector<float> Widened() const {
    std::vector<float> to(codes.size());
    WidenRows(View(), {.num_rows = 1, .first = 0, .n = std::ssize(codes)},
              to.data(), std::ssize(codes));
    return to;
  }

  static constexpr int8_t kGuard = 99;
  std::vector<int8_t> codes;
  float scale = 0;
};

std::vector<float> Gaussian(int64_t n, float factor) {
  test::Random random(static_cast<uint64_t>(n));
  std::vector<float> row(static_cast<size_t>(n));
  for (float& x : row) x = factor * static_cast<float>(random.Gaussian());
  return row;
}

TEST(Int8RowsTest, EveryElementIsOffByAtMostHalfTheScale) {
  for (const int64_t n : {1, 2, 15, 16, 17, 33, 64, 300}) {
    for (const float factor : {1e-30f, 0.01f, 1.0f, 5e20f, 5e37f}) {
      const std::vector<float> row = Gaussian(n, factor);
      const PackedRow packed(row);
      const std::vector<float> widened = packed.Widened();
      float largest = 0;
      for (const float x : row) largest = std::max(largest, std::fabs(x));
      EXPECT_FLOAT_EQ(packed.scale, largest / 127);
      for (size_t i = 0; i < row.size(); ++i) {
        // The product is rounded, too.
        EXPECT_LE(std::fabs(widened[i] - row[i]),
                  packed.scale / 2 + std::fabs(row[i]) * 2 * FLT_EPSILON)
            << n << " " << factor << " " << i;
      }
    }
  }
}

TEST(Int8RowsTest, TiesGoToTheEvenCode) {
  const PackedRow packed({127, 0.5f, 1.5f, -0.5f, -2.5f, 2.5001f, -127});
  EXPECT_EQ(packed.scale, 1);
  EXPECT_THAT(packed.codes, ElementsAre(127, 0, 2, 0, -2, 3, -127));
}

TEST(Int8RowsTest, ZerosAndWhatKernelsCountAsZeroPackToZero) {
  for (const float x : {0.0f, -0.0f, FLT_TRUE_MIN, 100 * FLT_MIN}) {
    const PackedRow packed({x, -x, 0, x});
    EXPECT_EQ(packed.scale, 0);
    EXPECT_FALSE(packed.View().IsMarked(0));
    EXPECT_THAT(packed.Widened(), Each(0.0f));
  }
}

TEST(Int8RowsTest, SmallestScaleIsNormal) {
  const PackedRow packed({130 * FLT_MIN, FLT_MIN});
  EXPECT_GE(packed.scale, FLT_MIN);
  EXPECT_EQ(packed.codes[0], 127);
  EXPECT_EQ(packed.codes[1], 1);
}

TEST(Int8RowsTest, LargestNumberStaysFinite) {
  const std::vector<float> widened = PackedRow({FLT_MAX, -FLT_MAX}).Widened();
  EXPECT_TRUE(std::isfinite(widened[0]) && std::isfinite(widened[1]));
  EXPECT_GT(widened[0], 0.999f * FLT_MAX);
  EXPECT_EQ(widened[0], -widened[1]);
}

// Whether x is what is left of `from`, NaN and infinity included.
bool IsWidenedFrom(float x, float from, float scale) {
  if (std::isnan(from)) return std::isnan(x);
  if (std::isinf(from)) return x == from;
  return std::fabs(x - from) <= 0.5001f * scale;
}

// At every place of vectors and of what is left behind them.
TEST(Int8RowsTest, NanAndInfinityStayAndTouchNoOtherElement) {
  for (const float poison : {NAN, INFINITY, -INFINITY}) {
    for (size_t place = 0; place < 37; ++place) {
      std::vector<float> row = Gaussian(37, 3);
      row[place] = poison;
      const PackedRow packed(row);
      ASSERT_TRUE(packed.View().IsMarked(0));
      const float scale = std::fabs(packed.scale);
      ASSERT_LT(scale, 1);
      const std::vector<float> widened = packed.Widened();
      for (size_t i = 0; i < row.size(); ++i) {
        ASSERT_TRUE(IsWidenedFrom(widened[i], row[i], scale)) << i;
      }
    }
  }
}

TEST(Int8RowsTest, RowOfPoisonAloneKeepsItsZeros) {
  const PackedRow packed({NAN, 0, INFINITY, -INFINITY});
  EXPECT_TRUE(packed.View().IsMarked(0));
  const std::vector<float> widened = packed.Widened();
  EXPECT_TRUE(std::isnan(widened[0]));
  EXPECT_THAT(std::vector(widened.begin() + 1, widened.end()),
              ElementsAre(0, INFINITY, -INFINITY));
}

// Rows of 64, packed; one has a NaN.
struct PackedRows {
  static constexpr int64_t kRows = 5, kLength = 64;

  PackedRows() {
    for (int64_t row = 0; row < kRows; ++row) {
      std::vector<float> from = Gaussian(kLength, static_cast<float>(row + 1));
      if (row == 3) from[20] = NAN;
      scales[row] = PackRow(from.data(), kLength, codes + row * kLength);
    }
  }
  Int8Rows View() const { return {codes, scales, kLength}; }

  int8_t codes[kRows * kLength];
  float scales[kRows];
};

void ExpectPartIsThatOfSingleElements(const Int8Rows& rows, int64_t first,
                                      int64_t n) {
  constexpr int64_t kStride = 70, kRows = PackedRows::kRows;
  std::vector<float> to(kRows * kStride, -77);
  WidenRows(rows, {.num_rows = kRows, .first = first, .n = n}, to.data(),
            kStride);
  for (int64_t place = 0; place < kRows * kStride; ++place) {
    const int64_t i = place % kStride;
    const float expected = i < n ? rows.At(place / kStride, first + i) : -77;
    EXPECT_EQ(std::bit_cast<uint32_t>(to[static_cast<size_t>(place)]),
              std::bit_cast<uint32_t>(expected))
        << first << " " << n << " " << place;
  }
}

TEST(Int8RowsTest, PartOfTheRowsIsWhatOneByOneGives) {
  const PackedRows rows;
  for (const int64_t first : {0, 1, 20, 63}) {
    for (const int64_t n : {1, 15, 16, 40, 64}) {
      if (first + n > PackedRows::kLength) continue;
      ExpectPartIsThatOfSingleElements(rows.View(), first, n);
    }
  }
}

}  // namespace
}  // namespace attn
