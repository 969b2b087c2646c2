#include "core/base/checked_math.h"

#include <limits>
#include <optional>

#include "gtest/gtest.h"

namespace attn {
namespace {

constexpr int64_t kMin = std::numeric_limits<int64_t>::min();
constexpr int64_t kMax = std::numeric_limits<int64_t>::max();

TEST(CheckedMathTest, AddIsExactUpToTheEdges) {
  EXPECT_EQ(CheckedAdd(2, 3), 5);
  EXPECT_EQ(CheckedAdd(kMax - 1, 1), kMax);
  EXPECT_EQ(CheckedAdd(kMin + 1, -1), kMin);
  EXPECT_EQ(CheckedAdd(kMin, kMax), -1);
}

TEST(CheckedMathTest, AddBeyondInt64IsNothing) {
  EXPECT_EQ(CheckedAdd(kMax, 1), std::nullopt);
  EXPECT_EQ(CheckedAdd(kMin, -1), std::nullopt);
  EXPECT_EQ(CheckedAdd(kMax, kMax), std::nullopt);
}

TEST(CheckedMathTest, MulIsExactUpToTheEdges) {
  EXPECT_EQ(CheckedMul(int64_t{1} << 31, int64_t{1} << 31), int64_t{1} << 62);
  EXPECT_EQ(CheckedMul(kMax, 1), kMax);
  EXPECT_EQ(CheckedMul(kMax, -1), kMin + 1);
  EXPECT_EQ(CheckedMul(kMax, 0), 0);
}

TEST(CheckedMathTest, MulBeyondInt64IsNothing) {
  EXPECT_EQ(CheckedMul(int64_t{1} << 31, int64_t{1} << 32), std::nullopt);
  EXPECT_EQ(CheckedMul(int64_t{1} << 62, 2), std::nullopt);
  EXPECT_EQ(CheckedMul(kMin, -1), std::nullopt);
}

TEST(CheckedMathTest, DivideUpRoundsUpWithoutOverflow) {
  EXPECT_EQ(DivideUp(0, 4), 0);
  EXPECT_EQ(DivideUp(1, 4), 1);
  EXPECT_EQ(DivideUp(4, 4), 1);
  EXPECT_EQ(DivideUp(5, 4), 2);
  EXPECT_EQ(DivideUp(kMax, 2), (int64_t{1} << 62));
  EXPECT_EQ(DivideUp(kMax, kMax), 1);
}

TEST(CheckedMathTest, RoundUpGivesTheNextMultiple) {
  EXPECT_EQ(RoundUp(0, 64), 0);
  EXPECT_EQ(RoundUp(1, 64), 64);
  EXPECT_EQ(RoundUp(64, 64), 64);
  EXPECT_EQ(RoundUp(65, 64), 128);
  EXPECT_EQ(RoundUp(kMax - 63, 64), kMax - 63);
}

}  // namespace
}  // namespace attn
