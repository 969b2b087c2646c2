#include "server/distribution.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace attn {
namespace {

using testing::ElementsAre;

// 10 up to 1, 30 more up to 2, none up to 4, 10 beyond.
Distribution Some() {
  return {.bounds = {1, 2, 4}, .counts = {10, 40, 40, 50}, .sum = 120};
}

TEST(DistributionTest, QuantileIsInterpolatedWithinItsBucket) {
  EXPECT_DOUBLE_EQ(Some().Quantile(0.1), 0.5);
  EXPECT_DOUBLE_EQ(Some().Quantile(0.5), 1.5);
  EXPECT_DOUBLE_EQ(Some().Quantile(0.8), 2.0);
}

TEST(DistributionTest, QuantileBeyondTheBoundsIsTheLastOne) {
  EXPECT_DOUBLE_EQ(Some().Quantile(0.99), 4.0);
}

TEST(DistributionTest, NothingHasNoQuantile) {
  EXPECT_TRUE(std::isnan(Distribution{}.Quantile(0.5)));
  const Distribution empty{.bounds = {1}, .counts = {0, 0}};
  EXPECT_TRUE(std::isnan(empty.Quantile(0.5)));
  EXPECT_EQ(empty.count(), 0);
}

TEST(DistributionTest, SmallestIsWithinTheFirstBucket) {
  EXPECT_DOUBLE_EQ(Some().Quantile(0), 0.0);
  const Distribution high{.bounds = {1, 2}, .counts = {0, 4, 4}};
  EXPECT_DOUBLE_EQ(high.Quantile(0), 0.0);
}

TEST(DistributionTest, AddsObservations) {
  Distribution total;
  total.Add(Some());
  total.Add(Some());
  EXPECT_THAT(total.counts, ElementsAre(20, 80, 80, 100));
  EXPECT_DOUBLE_EQ(total.sum, 240);
  EXPECT_EQ(total.count(), 100);
}

}  // namespace
}  // namespace attn
