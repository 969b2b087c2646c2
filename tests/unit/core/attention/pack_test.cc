#include "core/attention/pack.h"

#include <cmath>
#include <limits>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/attention_case.h"

namespace attn {
namespace {

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

TEST(PackTest, HalvesOfValuesAreWidenedAndFloatsStayWhereTheyLie) {
  for (const DataType dtype : kDtypes) {
    const Tensor value(dtype, 1, 20, 7);
    std::vector<float> packed(9 * 7 + 1, kUntouched);
    const ValueTile tile = PackValueTile(ProblemOf(value), 3, 9, packed.data());
    EXPECT_EQ(tile.data == packed.data(), dtype != DataType::kF32);
    for (int64_t i = 0; i < 9 * 7; ++i) {
      ASSERT_EQ(tile.data[i / 7 * tile.stride + i % 7],
                value.At(0, 3 + i / 7, i % 7));
    }
    EXPECT_EQ(packed.back(), kUntouched);
  }
}

TEST(PackTest, EveryPlaceOfANonFiniteValueIsNoticed) {
  for (const int64_t n : {1, 7, 16, 17, 64, 69}) {
    std::vector<float> rows(static_cast<size_t>(3 * n), 1.0f);
    for (const float poison : {NAN, INFINITY, -INFINITY}) {
      for (float& value : rows) {
        value = poison;
        ASSERT_FALSE(AreFinite(rows.data(), 3, n, n)) << n;
        value = 1.0f;
      }
    }
    ASSERT_TRUE(AreFinite(rows.data(), 3, n, n));
  }
}

TEST(PackTest, LargeFiniteValuesAreFinite) {
  const std::vector<float> rows(99, std::numeric_limits<float>::max());
  EXPECT_TRUE(AreFinite(rows.data(), 33, 3, 3));
}

TEST(PackTest, NonFiniteValuesBesideTheRowsDoNotCount) {
  std::vector<float> rows(static_cast<size_t>(3 * 20), NAN);
  for (size_t r = 0; r < 3; ++r) {
    for (size_t i = 0; i < 17; ++i) rows[r * 20 + i] = 1.0f;
  }
  EXPECT_TRUE(AreFinite(rows.data(), 3, 17, 20));
  EXPECT_FALSE(AreFinite(rows.data(), 3, 18, 20));
}

}  // namespace
}  // namespace attn
