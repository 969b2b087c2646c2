#include "core/attention/rope_frequencies.h"

#include <cmath>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace attn {
namespace {

using ::testing::ElementsAre;
using ::testing::Pointwise;

// Within what f32 arithmetic makes of the same formula.
MATCHER(IsClose, "") {
  const auto [found, expected] = arg;
  return std::abs(found - expected) <= 1e-6 * expected;
}

TEST(RopeFrequenciesTest, PairsTurnAtPowersOfTheta) {
  const RopeFrequencies plain =
      MakeRopeFrequencies({.theta = 100, .rotary_dim = 4});
  EXPECT_THAT(plain.per_position, ElementsAre(1, 0.1));
  EXPECT_EQ(plain.magnitude, 1);
}

// The expected values of the others are transformers' 5.23, head_dim 16.
TEST(RopeFrequenciesTest, LinearStretchesAllPairs) {
  const RopeFrequencies linear = MakeRopeFrequencies(
      {.rotary_dim = 16, .scaling = RopeScaling::kLinear, .factor = 4});
  EXPECT_THAT(
      linear.per_position,
      Pointwise(IsClose(), {0.25, 0.07905694, 0.025, 0.007905695, 0.0025,
                            0.0007905695, 0.00025, 7.905695e-05}));
  EXPECT_EQ(linear.magnitude, 1);
}

TEST(RopeFrequenciesTest, Llama3StretchesSlowPairs) {
  const RopeFrequencies llama3 =
      MakeRopeFrequencies({.theta = 500000,
                           .rotary_dim = 16,
                           .scaling = RopeScaling::kLlama3,
                           .factor = 8,
                           .original_max_position = 8192});
  EXPECT_THAT(llama3.per_position,
              Pointwise(IsClose(),
                        {1.0, 0.1939228, 0.03760603, 0.007292665, 0.000524846,
                         3.428102e-05, 6.64787e-06, 1.289173e-06}));
  EXPECT_EQ(llama3.magnitude, 1);
}

TEST(RopeFrequenciesTest, YarnStretchesSlowPairsAndMagnifies) {
  RopeConfig config{.rotary_dim = 16,
                    .scaling = RopeScaling::kYarn,
                    .factor = 4,
                    .original_max_position = 512};
  const RopeFrequencies yarn = MakeRopeFrequencies(config);
  EXPECT_THAT(yarn.per_position,
              Pointwise(IsClose(), {1.0, 0.2569351, 0.0625, 0.01383497, 0.0025,
                                    0.0007905695, 0.00025, 7.905695e-05}));
  EXPECT_NEAR(yarn.magnitude, 1.138629436111989, 1e-15);
  config.truncate = false;
  config.beta_fast = 16;
  config.beta_slow = 2;
  config.attention_factor = 1.25;
  const RopeFrequencies chosen = MakeRopeFrequencies(config);
  EXPECT_THAT(
      chosen.per_position,
      Pointwise(IsClose(), {1.0, 0.3162278, 0.0756644, 0.01079611, 0.0025,
                            0.0007905695, 0.00025, 7.905695e-05}));
  EXPECT_EQ(chosen.magnitude, 1.25);
}

TEST(RopeFrequenciesTest, YarnOfFactor1IsPlain) {
  const RopeConfig plain{.rotary_dim = 8};
  RopeConfig yarn = plain;
  yarn.scaling = RopeScaling::kYarn;
  yarn.original_max_position = 64;
  EXPECT_THAT(MakeRopeFrequencies(yarn).per_position,
              Pointwise(IsClose(), MakeRopeFrequencies(plain).per_position));
  EXPECT_EQ(MakeRopeFrequencies(yarn).magnitude, 1);
}

}  // namespace
}  // namespace attn
