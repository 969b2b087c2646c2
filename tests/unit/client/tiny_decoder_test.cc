// The parts of client/examples/decode that need no server: its recomputation
// must be right, else the example proves nothing.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "client/examples/decode/recomputation.h"

namespace tiny_decoder {
namespace {

using ::testing::DoubleNear;
using ::testing::ElementsAre;

TEST(TinyDecoderTest, RotationTurnsHalvesByPosition) {
  const ModelShape shape = {.q_heads = 1, .head_dim = 4, .rope_base = 100};
  Matrix rows = {2, 4, {1, 2, 3, 4, 1, 0, 0, 2}};
  Rotate(shape, rows);
  // Row 0 stays. Row 1: (1, 0) by 1, (0, 2) by 100^(-1/2) = 0.1.
  const double expected[] = {1,
                             2,
                             3,
                             4,
                             std::cos(1.0),
                             -2 * std::sin(0.1),
                             std::sin(1.0),
                             2 * std::cos(0.1)};
  for (int i = 0; i < 8; ++i) {
    EXPECT_NEAR(rows.values[i], expected[i], 1e-15) << i;
  }
}

// Queries of 0 weigh all keys that a row sees alike.
TEST(TinyDecoderTest, RowsAttendToThemselvesAndEarlierOnes) {
  const ModelShape shape = {.q_heads = 2, .kv_heads = 1, .head_dim = 2};
  const Matrix out = CausalAttention(
      shape, {Matrix::Zero(3, 4), Matrix{3, 2, {1, 2, 3, 4, 5, 6}},
              Matrix{3, 2, {3, 30, 9, 90, 6, 60}}});
  EXPECT_THAT(out.values, ElementsAre(3, 30, 3, 30,  //
                                      6, 60, 6, 60,  //
                                      6, 60, 6, 60));
}

TEST(TinyDecoderTest, QueryHeadsShareKvHeadsInGroups) {
  const ModelShape shape = {.q_heads = 4, .kv_heads = 2, .head_dim = 2};
  const Matrix out = CausalAttention(
      shape,
      {Matrix::Zero(1, 8), Matrix::Zero(1, 4), Matrix{1, 4, {1, 2, 3, 4}}});
  EXPECT_THAT(out.values, ElementsAre(1, 2, 1, 2, 3, 4, 3, 4));
}

// One head, scale 1 / sqrt(2): scores 0 and 1 by hand.
TEST(TinyDecoderTest, WeightsAreTheSoftmaxOfScaledScores) {
  const ModelShape shape = {
      .q_heads = 1, .kv_heads = 1, .head_dim = 2, .rope_base = 10000};
  const double turn_x = std::cos(1.0);
  const double turn_y = std::sin(1.0);
  // Row 1's query is (sqrt 2, 0) after its rotation by 1, and so is its key.
  const double root = std::sqrt(2.0);
  const Matrix query = {2, 2, {0, 0, root * turn_x, -root * turn_y}};
  const Matrix key = {2, 2, {0, 1, turn_x, -turn_y}};
  const Matrix value = {2, 2, {0, 0, 1, 10}};
  const Matrix out = CausalAttention(shape, {query, key, value});
  const double weight = std::exp(1.0) / (1 + std::exp(1.0));
  EXPECT_THAT(out.values, ElementsAre(0, 0, DoubleNear(weight, 1e-14),
                                      DoubleNear(10 * weight, 1e-13)));
}

TEST(TinyDecoderTest, EarlierRowsDoNotDependOnLaterTokens) {
  const Transformer model({}, 1);
  const Matrix some = Recompute(model, {1, 2, 3});
  Matrix more = Recompute(model, {1, 2, 3, 4});
  more.values.resize(some.values.size());
  EXPECT_EQ(some.values, more.values);
}

TEST(TinyDecoderTest, LastRowsAreTheNewest) {
  const Matrix last = LastRows({3, 2, {1, 2, 3, 4, 5, 6}}, 2);
  EXPECT_EQ(last.rows, 2);
  EXPECT_THAT(last.values, ElementsAre(3, 4, 5, 6));
}

TEST(TinyDecoderTest, ErrorIsRelativeToTheLargestElement) {
  const Matrix whole = {1, 2, {-4, 1}};
  EXPECT_EQ(RelativeError({1, 2, {-4, 1.5}}, whole), 0.125);
  EXPECT_EQ(RelativeError(whole, whole), 0);
  EXPECT_TRUE(std::isinf(RelativeError({1, 2, {-4, NAN}}, whole)));
}

}  // namespace
}  // namespace tiny_decoder
