#include "core/attention/small_tile_gemm.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/tensor/conversions.h"
#include "core/tensor/int8_rows.h"
#include "gtest/gtest.h"
#include "tests/support/random.h"
#include "tests/support/sizes.h"

namespace attn {
namespace {

constexpr int64_t kMostRows = 17;
constexpr int64_t kMost = 70;

// Numbers for the largest shape; smaller ones use the first of each row.
class SmallTileGemmTest : public testing::Test {
 protected:
  SmallTileGemmTest()
      : a_(Numbers(kMostRows * 80, 1)),
        b_(Numbers(kMost * 80, 2)),
        c_(Numbers(kMostRows * 80, 3)) {}

  static std::vector<float> Numbers(int64_t n, uint64_t seed) {
    test::Random random(seed);
    std::vector<float> values(static_cast<size_t>(n));
    for (float& v : values) v = static_cast<float>(random.Gaussian());
    return values;
  }

  static GemmShape Shape(int64_t m, int64_t n, int64_t k, int64_t slack = 0) {
    return {.m = m,
            .n = n,
            .k = k,
            .lda = k + slack,
            .ldb = n + 2 * slack,
            .ldc = n + slack};
  }

  // All of c_'s room, so that a write beside the result shows.
  std::vector<float> Multiply(const GemmShape& shape, bool accumulate) const {
    std::vector<float> c = c_;
    EXPECT_TRUE(SmallTileGemm()
                    .Multiply(shape, a_.data(), b_.data(), c.data(), accumulate)
                    .ok());
    return c;
  }

  // Row `row` of a product, accumulated, by itself.
  std::vector<float> Alone(int64_t row, int64_t n, int64_t k) const {
    std::vector<float> c(c_.begin() + row * n, c_.begin() + (row + 1) * n);
    EXPECT_TRUE(SmallTileGemm()
                    .Multiply(Shape(1, n, k), a_.data() + row * k, b_.data(),
                              c.data(), /*accumulate=*/true)
                    .ok());
    return c;
  }

  // "" or the first wrong element.
  std::string Check(const GemmShape& s, bool accumulate) const {
    const std::vector<float> got = Multiply(s, accumulate);
    std::vector<float> outside = got;
    for (int64_t i = 0; i < s.m; ++i) {
      for (int64_t j = 0; j < s.n; ++j) {
        const auto at = static_cast<size_t>(i * s.ldc + j);
        outside[at] = c_[at];
        double sum = accumulate ? double{c_[at]} : 0;
        double magnitude = std::fabs(sum);
        for (int64_t l = 0; l < s.k; ++l) {
          const double term = double{a_[static_cast<size_t>(i * s.lda + l)]} *
                              double{b_[static_cast<size_t>(l * s.ldb + j)]};
          sum += term;
          magnitude += std::fabs(term);
        }
        const double bound =
            0x1p-24 * magnitude * (2 + std::sqrt(static_cast<double>(s.k)));
        if (std::fabs(double{got[at]} - sum) > bound) return Place(s, i, j);
      }
    }
    return outside == c_ ? "" : Place(s, -1, -1) + " wrote outside";
  }

  static std::string Place(const GemmShape& s, int64_t i, int64_t j) {
    return absl::StrCat(s.m, "x", s.n, "x", s.k, " at ", i, ",", j);
  }

  std::vector<float> a_, b_, c_;
};

TEST_F(SmallTileGemmTest, EveryNumberOfRowsAndColumnsIsRight) {
  for (int64_t m = 1; m <= kMostRows; ++m) {
    for (int64_t n = 1; n <= kMost; ++n) {
      for (const int64_t k : {1, 2, 7, 64}) {
        if (test::kIsSanitized && (m + n) % 5 != 0) continue;
        ASSERT_EQ(Check(Shape(m, n, k), k % 2 == 0), "");
      }
    }
  }
}

TEST_F(SmallTileGemmTest, EveryDepthIsRight) {
  for (int64_t k = 1; k <= kMost; ++k) {
    for (const int64_t n : {1, 13, 16, 64, 67}) {
      for (const bool accumulate : {false, true}) {
        ASSERT_EQ(Check(Shape(5, n, k), accumulate), "");
        ASSERT_EQ(Check(Shape(16, n, k), accumulate), "");
      }
    }
  }
}

TEST_F(SmallTileGemmTest, StridesBeyondTheRowsAreKept) {
  for (const int64_t slack : {1, 3, 5}) {
    for (const int64_t n : {1, 15, 33, 64, 70}) {
      for (const bool accumulate : {false, true}) {
        ASSERT_EQ(Check(Shape(7, n, 19, slack), accumulate), "");
      }
    }
  }
}

TEST_F(SmallTileGemmTest, WithoutAccumulateTheOldContentIsIgnored) {
  const std::vector<float> expected = Multiply(Shape(6, 67, 9), false);
  std::fill(c_.begin(), c_.begin() + 6 * 67,
            std::numeric_limits<float>::quiet_NaN());
  EXPECT_EQ(Multiply(Shape(6, 67, 9), false), expected);
}

// What makes a row of a decode step the same in whatever company.
TEST_F(SmallTileGemmTest, BitsOfARowDoNotDependOnTheOthers) {
  for (const int64_t n : {1, 16, 50, 64, 70}) {
    for (int64_t row = 0; row < kMostRows; ++row) {
      const std::vector<float> alone = Alone(row, n, 33);
      for (int64_t m = row + 1; m <= kMostRows; ++m) {
        const std::vector<float> all = Multiply(Shape(m, n, 33), true);
        ASSERT_EQ(std::memcmp(all.data() + row * n, alone.data(),
                              static_cast<size_t>(n) * sizeof(float)),
                  0)
            << "row " << row << " of " << m << ", n " << n;
      }
    }
  }
}

TEST_F(SmallTileGemmTest, NanOfARowStaysInIt) {
  a_[3 * 20 + 4] = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> got = Multiply(Shape(6, 66, 20), false);
  for (size_t i = 0; i < 6 * 66; ++i) {
    ASSERT_EQ(std::isnan(got[i]), i / 66 == 3) << i;
  }
}

TEST_F(SmallTileGemmTest, SaysWhatItIs) {
  EXPECT_EQ(SmallTileGemm().Description(), "own SIMD");
  EXPECT_NE(SmallTileGemm().ChosenIsa(), "");
}

// Elements of B rounded to what is stored, and the same widened.
struct Stored {
  StoredMatrix matrix;
  std::vector<float> wide;
  std::vector<std::byte> bytes;
  std::vector<float> scales;
};

Stored StoreHalves(const std::vector<float>& from, DataType dtype) {
  Stored stored;
  const auto n = std::ssize(from);
  stored.bytes.resize(from.size() * 2);
  stored.wide.resize(from.size());
  ConvertFromF32(from.data(), n, dtype, stored.bytes.data());
  ConvertToF32(dtype, stored.bytes.data(), n, 1.0f, stored.wide.data());
  stored.matrix.form = dtype == DataType::kF16 ? StoredMatrix::Form::kF16
                                               : StoredMatrix::Form::kBF16;
  stored.matrix.data = stored.bytes.data();
  return stored;
}

Stored StoreInt8(const std::vector<float>& from, const GemmShape& shape) {
  Stored stored;
  stored.bytes.resize(from.size());
  stored.wide.resize(from.size());
  stored.scales.resize(static_cast<size_t>(shape.k));
  auto* codes = reinterpret_cast<int8_t*>(stored.bytes.data());
  for (int64_t k = 0; k < shape.k; ++k) {
    const int64_t at = k * shape.ldb;
    stored.scales[k] = PackRow(from.data() + at, shape.n, codes + at);
    for (int64_t i = 0; i < shape.n; ++i) {
      stored.wide[at + i] =
          static_cast<float>(codes[at + i]) * stored.scales[k];
    }
  }
  stored.matrix = {StoredMatrix::Form::kInt8, stored.bytes.data(),
                   stored.scales.data()};
  return stored;
}

// The same bits, whether B is widened first or on the way.
void ExpectSame(const GemmShape& shape, const std::vector<float>& a,
                const Stored& b, const std::vector<float>& c) {
  const SmallTileGemm gemm;
  for (const bool accumulate : {false, true}) {
    std::vector<float> expected = c, got = c;
    ASSERT_TRUE(gemm.Multiply(shape, a.data(), b.wide.data(), expected.data(),
                              accumulate)
                    .ok());
    ASSERT_TRUE(
        gemm.MultiplyStored(shape, a.data(), b.matrix, got.data(), accumulate)
            .ok());
    ASSERT_EQ(got, expected) << shape.m << " x " << shape.n << " x " << shape.k;
  }
}

TEST_F(SmallTileGemmTest, StoredElementsGiveTheBitsOfWideningThemFirst) {
  for (int64_t m = 1; m <= 8; ++m) {
    for (const int64_t n : {1, 3, 8, 15, 16, 17, 40, 63, 64, 70}) {
      for (const int64_t k : {1, 2, 33}) {
        const GemmShape shape = Shape(m, n, k, 1);
        ExpectSame(shape, a_, StoreHalves(b_, DataType::kF16), c_);
        ExpectSame(shape, a_, StoreHalves(b_, DataType::kBF16), c_);
        ExpectSame(shape, a_, StoreInt8(b_, shape), c_);
      }
    }
  }
}

}  // namespace
}  // namespace attn
