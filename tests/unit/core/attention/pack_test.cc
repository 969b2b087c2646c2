#include "core/attention/pack.h"

#include <cmath>
#include <cstring>
#include <utility>
#include <vector>

#include "core/tensor/conversions.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/attention_case.h"

namespace attn {
namespace {

using testing::Each;

constexpr float kUntouched = -77;

// A [heads, length, dim] tensor of random values, viewed.
struct Tensor {
  Tensor(DataType element, int64_t heads, int64_t rows, int64_t columns)
      : dtype(element), length(rows), dim(columns) {
    test::Random random(static_cast<uint64_t>(length * 131 + dim));
    bytes = test::RandomTensor(dtype, heads * length * dim, random);
    floats = test::ToFloats(dtype, bytes);
  }

  RowsView View() const {
    return {.data = bytes.data(),
            .dtype = dtype,
            .dim = dim,
            .head_stride = length * dim,
            .row_stride = dim};
  }
  float At(int64_t head, int64_t row, int64_t d) const {
    return floats[static_cast<size_t>((head * length + row) * dim + d)];
  }

  DataType dtype;
  int64_t length;
  int64_t dim;
  std::vector<std::byte> bytes;
  std::vector<float> floats;
};

Problem ProblemOf(const Tensor& value) {
  Problem problem;
  problem.value = value.View();
  return problem;
}

constexpr DataType kDtypes[] = {DataType::kF32, DataType::kF16,
                                DataType::kBF16};

// NOLINTNEXTLINE(readability-function-size): the grid is its nesting.
TEST(PackTest, KeysAreTransposedAtEveryShape) {
  for (const DataType dtype : kDtypes) {
    for (const int64_t dim : {1, 3, 4, 5, 16, 33}) {
      for (const int64_t num_keys : {1, 2, 4, 7, 9, 16, 31}) {
        const Tensor key(dtype, 1, 40, dim);
        const int64_t stride = num_keys + 3;
        std::vector<float> widened(static_cast<size_t>(num_keys * dim));
        std::vector<float> packed(static_cast<size_t>(dim * stride),
                                  kUntouched);
        Problem problem;
        problem.key = key.View();
        PackKeyTile(problem, 5, num_keys,
                    {widened.data(), packed.data(), stride});
        for (int64_t d = 0; d < dim; ++d) {
          for (int64_t j = 0; j < stride; ++j) {
            ASSERT_EQ(packed[static_cast<size_t>(d * stride + j)],
                      j < num_keys ? key.At(0, 5 + j, d) : kUntouched)
                << "dim " << dim << " keys " << num_keys;
          }
        }
      }
    }
  }
}

TEST(PackTest, QueryRowsAreFoldedAndScaled) {
  for (const DataType dtype : kDtypes) {
    const Tensor query(dtype, 3, 6, 5);
    Problem problem;
    problem.group_size = 3;
    problem.q_len = 6;
    problem.query = query.View();
    const RowRange rows{4, 11};
    std::vector<float> packed(static_cast<size_t>(rows.size() * 5));
    PackQueryTile(problem, rows, 0.3f, packed.data());
    for (int64_t r = rows.first; r < rows.last; ++r) {
      for (int64_t d = 0; d < 5; ++d) {
        // Folded row r is row r / 3 of head r % 3.
        ASSERT_EQ(packed[static_cast<size_t>((r - rows.first) * 5 + d)],
                  query.At(r % 3, r / 3, d) * 0.3f);
      }
    }
  }
}

TEST(PackTest, ValuesAreWidenedInPlace) {
  for (const DataType dtype : kDtypes) {
    const Tensor value(dtype, 1, 20, 7);
    std::vector<float> packed(9 * 7 + 1, kUntouched);
    EXPECT_TRUE(PackValueTile(ProblemOf(value), 3, 9, packed.data()).is_finite);
    for (int64_t i = 0; i < 9 * 7; ++i) {
      ASSERT_EQ(packed[static_cast<size_t>(i)], value.At(0, 3 + i / 7, i % 7));
    }
    EXPECT_EQ(packed.back(), kUntouched);
  }
}

TEST(PackTest, EveryPlaceOfANonFiniteValueIsNoticed) {
  for (const DataType dtype : kDtypes) {
    for (const float poison : {NAN, INFINITY, -INFINITY}) {
      Tensor value(dtype, 1, 11, 5);
      for (int64_t i = 0; i < 55; ++i) {
        const std::vector<std::byte> clean = value.bytes;
        ConvertFromF32(&poison, 1, dtype,
                       value.bytes.data() + i * ElementBytes(dtype));
        std::vector<float> packed(55);
        ASSERT_FALSE(
            PackValueTile(ProblemOf(value), 0, 11, packed.data()).is_finite)
            << i;
        value.bytes = clean;
      }
    }
  }
}

TEST(PackTest, LargeFiniteValuesAreFinite) {
  Tensor value(DataType::kF32, 1, 33, 3);
  const float largest = std::numeric_limits<float>::max();
  for (size_t i = 0; i < 99; ++i) {
    std::memcpy(value.bytes.data() + i * 4, &largest, 4);
  }
  std::vector<float> packed(99);
  EXPECT_TRUE(PackValueTile(ProblemOf(value), 0, 33, packed.data()).is_finite);
  EXPECT_THAT(packed, Each(largest));
}

TEST(PackTest, NonFiniteValuesBeyondTheTileDoNotCount) {
  Tensor value(DataType::kF32, 1, 4, 3);
  std::memset(value.bytes.data() + 2 * 3 * 4, 0xff, 2 * 3 * 4);  // Rows 2, 3.
  std::vector<float> packed(6);
  EXPECT_TRUE(PackValueTile(ProblemOf(value), 0, 2, packed.data()).is_finite);
}

TEST(PackTest, EveryHalfThatIsNotFiniteIsFound) {
  for (const auto& [dtype, bad] : {std::pair{DataType::kF16, 0x7c00},
                                   {DataType::kF16, 0xfe01},
                                   {DataType::kBF16, 0x7f80},
                                   {DataType::kBF16, 0xff81}}) {
    // The largest finite ones.
    const uint16_t large = dtype == DataType::kF16 ? 0xfbff : 0xff7f;
    for (size_t n = 1; n <= 70; ++n) {
      std::vector<uint16_t> halves(n, large);
      const auto* bytes = reinterpret_cast<const std::byte*>(halves.data());
      ASSERT_TRUE(AreFiniteHalves(bytes, std::ssize(halves), dtype)) << n;
      for (size_t at = 0; at < n; ++at) {
        halves[at] = static_cast<uint16_t>(bad);
        ASSERT_FALSE(AreFiniteHalves(bytes, std::ssize(halves), dtype)) << at;
        halves[at] = large;
      }
    }
  }
}

}  // namespace
}  // namespace attn
