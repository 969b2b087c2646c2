#include "client/cpp/attnctl/load_schedule.h"

#include <gtest/gtest.h>

#include <cmath>

namespace attn::attnctl {
namespace {

TEST(LoadScheduleTest, ConstantOnesAreEvenlySpacedFromZero) {
  LoadSchedule schedule(Arrivals::kConstant, 8, 1);
  EXPECT_EQ(schedule.Next(), absl::ZeroDuration());
  EXPECT_EQ(schedule.Next(), absl::Milliseconds(125));
  EXPECT_EQ(schedule.Next(), absl::Milliseconds(250));
}

TEST(LoadScheduleTest, ConstantErrorsDoNotAddUp) {
  LoadSchedule schedule(Arrivals::kConstant, 3, 1);
  for (int i = 0; i < 3'000'000; ++i) {
    schedule.Next();
  }
  EXPECT_EQ(schedule.Next(), absl::Seconds(1'000'000));
}

TEST(LoadScheduleTest, PoissonGapsHaveTheRateAndItsSpread) {
  LoadSchedule schedule(Arrivals::kPoisson, 100, 5);
  constexpr int kCount = 100'000;
  absl::Duration before;
  double sum = 0;
  double squares = 0;
  for (int i = 0; i < kCount; ++i) {
    const absl::Duration next = schedule.Next();
    ASSERT_GT(next, before);
    const double gap = absl::ToDoubleSeconds(next - before);
    sum += gap;
    squares += gap * gap;
    before = next;
  }
  const double mean = sum / kCount;
  EXPECT_NEAR(mean, 0.01, 0.0001);
  // The standard deviation of an exponential gap is its mean.
  EXPECT_NEAR(std::sqrt(squares / kCount - mean * mean), 0.01, 0.0002);
}

TEST(LoadScheduleTest, SeedDecidesThePoissonTimes) {
  LoadSchedule a(Arrivals::kPoisson, 10, 1);
  LoadSchedule b(Arrivals::kPoisson, 10, 1);
  LoadSchedule c(Arrivals::kPoisson, 10, 2);
  const absl::Duration first = a.Next();
  EXPECT_EQ(first, b.Next());
  EXPECT_NE(first, c.Next());
}

}  // namespace
}  // namespace attn::attnctl
