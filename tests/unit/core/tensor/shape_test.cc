#include "core/tensor/shape.h"

#include <optional>

#include "core/tensor/dtype.h"
#include "gtest/gtest.h"

namespace attn {
namespace {

constexpr int64_t kMax = INT64_MAX;
constexpr int64_t k31 = int64_t{1} << 31;
constexpr int64_t k32 = int64_t{1} << 32;
constexpr int64_t k62 = int64_t{1} << 62;

struct ShapeCase {
  Dims dims;
  std::optional<int64_t> num_elements;
};

TEST(ShapeTest, NumElementsIsExactOrNothing) {
  const ShapeCase cases[] = {
      {{}, 1},
      {{7}, 7},
      {{2, 3, 4, 5}, 120},
      {{0}, 0},
      {{5, 0, 7}, 0},
      {{1, 1, 0, int64_t{1} << 40}, 0},
      {{k31, k31}, k62},
      {{k31, k32}, std::nullopt},
      {{k32, k32}, std::nullopt},
      {{k62}, k62},
      {{k62, 1, 1}, k62},
      {{k62, 2}, std::nullopt},
      {{k62, 4}, std::nullopt},
      {{kMax}, kMax},
      {{kMax, 1}, kMax},
      {{kMax, 2}, std::nullopt},
      {{kMax, kMax}, std::nullopt},
      {{k62, k62, 0}, std::nullopt},
      {{0, k62, k62}, std::nullopt},
      {{0, kMax}, 0},
      {{-1}, std::nullopt},
      {{INT64_MIN}, std::nullopt},
      {{2, -3}, std::nullopt},
      {{-2, -3}, std::nullopt},
      {{0, -1}, std::nullopt},
      {{-1, 0}, std::nullopt},
      {{k31, k31, k31, k31, k31, k31, k31, k31}, std::nullopt},
  };
  for (const ShapeCase& c : cases) {
    EXPECT_EQ(NumElements(c.dims), c.num_elements) << ToString(c.dims);
  }
}

TEST(ShapeTest, PrintsAsAList) {
  EXPECT_EQ(ToString(Dims{}), "[]");
  EXPECT_EQ(ToString(Dims{-1}), "[-1]");
  EXPECT_EQ(ToString(Dims{2, 8, 128, 64}), "[2, 8, 128, 64]");
}

}  // namespace
}  // namespace attn
