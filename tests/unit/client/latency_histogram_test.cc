#include "client/cpp/attnctl/latency_histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

namespace attn::attnctl {
namespace {

TEST(LatencyHistogramTest, EmptyOneHasOnlyZeros) {
  const LatencyHistogram histogram;
  EXPECT_EQ(histogram.count(), 0);
  EXPECT_EQ(histogram.Percentile(0.99), absl::ZeroDuration());
  EXPECT_EQ(histogram.mean(), absl::ZeroDuration());
}

TEST(LatencyHistogramTest, SmallValuesAreExact) {
  LatencyHistogram histogram;
  for (int ns = 1; ns <= 100; ++ns) {
    histogram.Record(absl::Nanoseconds(ns));
  }
  EXPECT_EQ(histogram.Percentile(0.5), absl::Nanoseconds(50));
  EXPECT_EQ(histogram.Percentile(0.99), absl::Nanoseconds(99));
  EXPECT_EQ(histogram.Percentile(0), absl::Nanoseconds(1));
  EXPECT_EQ(histogram.Percentile(1), absl::Nanoseconds(100));
}

TEST(LatencyHistogramTest, PercentilesStayWithinOnePartIn128) {
  std::mt19937_64 random(3);
  std::uniform_real_distribution<double> exponent(0, 45);
  LatencyHistogram histogram;
  std::vector<int64_t> sorted;
  for (int i = 0; i < 20'000; ++i) {
    sorted.push_back(static_cast<int64_t>(std::exp2(exponent(random))));
    histogram.Record(absl::Nanoseconds(sorted.back()));
  }
  std::sort(sorted.begin(), sorted.end());
  for (const double fraction : {0.01, 0.25, 0.5, 0.9, 0.99, 0.999}) {
    const auto rank = static_cast<size_t>(
        std::ceil(fraction * static_cast<double>(sorted.size())));
    const auto exact = static_cast<double>(sorted[rank - 1]);
    const auto found = static_cast<double>(
        absl::ToInt64Nanoseconds(histogram.Percentile(fraction)));
    EXPECT_GE(found, exact) << fraction;
    EXPECT_LE(found, exact * (1 + 1.0 / 128)) << fraction;
  }
}

TEST(LatencyHistogramTest, MaxAndMeanAreExact) {
  LatencyHistogram histogram;
  histogram.Record(absl::Milliseconds(1));
  histogram.Record(absl::Seconds(3));
  histogram.Record(absl::Seconds(-5));
  EXPECT_EQ(histogram.max(), absl::Seconds(3));
  EXPECT_EQ(histogram.mean(), absl::Microseconds(3'001'000) / 3);
  EXPECT_EQ(histogram.Percentile(1), absl::Seconds(3));
}

TEST(LatencyHistogramTest, LargestDurationHasABucket) {
  LatencyHistogram histogram;
  histogram.Record(absl::InfiniteDuration());
  EXPECT_EQ(histogram.count(), 1);
}

}  // namespace
}  // namespace attn::attnctl
