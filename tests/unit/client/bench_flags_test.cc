#include "client/cpp/attnctl/bench_flags.h"

#include <gtest/gtest.h>

#include <CLI/CLI.hpp>

#include "client/cpp/attnctl/progress_bar.h"

namespace attn::attnctl {
namespace {

class BenchFlagsTest : public ::testing::Test {
 protected:
  BenchFlagsTest() { AddBenchFlags(app_, flags_); }

  CLI::App app_;
  BenchFlags flags_;
};

TEST_F(BenchFlagsTest, RangesDurationsAndNamesAreRead) {
  app_.parse(
      "--kv-len 16..2048 --q-len 7 --dtype bf16 --rate 50 --arrivals constant "
      "--method batch --batch-items 3 --duration 1m30s --causal top-left");
  EXPECT_EQ(flags_.shape.kv_len.first, 16);
  EXPECT_EQ(flags_.shape.kv_len.last, 2048);
  EXPECT_EQ(flags_.shape.q_len.first, 7);
  EXPECT_EQ(flags_.shape.q_len.last, 7);
  EXPECT_EQ(flags_.shape.dtype, client::DType::kBf16);
  EXPECT_EQ(flags_.shape.causal, client::Causal::kTopLeft);
  EXPECT_EQ(flags_.rate, 50);
  EXPECT_EQ(flags_.arrivals, Arrivals::kConstant);
  EXPECT_EQ(flags_.method, Method::kBatch);
  EXPECT_EQ(flags_.batch_items, 3);
  EXPECT_EQ(LoadDuration(flags_), absl::Seconds(90));
  EXPECT_TRUE(CheckBenchFlags(flags_).ok());
}

TEST_F(BenchFlagsTest, DoublesCanBeSent) {
  app_.parse("--dtype f64");
  EXPECT_EQ(flags_.shape.dtype, client::DType::kF64);
}

TEST_F(BenchFlagsTest, BadValuesAreUsageErrors) {
  for (const char* line :
       {"--kv-len 5..2", "--kv-len x", "--kv-len 1..", "--q-len -1",
        "--concurrency 0", "--batch-items 5000", "--head-dim 0"}) {
    EXPECT_THROW(app_.parse(line), CLI::ParseError) << line;
  }
}

TEST_F(BenchFlagsTest, DurationDefaultsToTenSecondsOrTheRequests) {
  EXPECT_EQ(LoadDuration(flags_), absl::Seconds(10));
  flags_.requests = 5;
  EXPECT_EQ(LoadDuration(flags_), absl::InfiniteDuration());
}

TEST_F(BenchFlagsTest, MisfitsAreRefused) {
  flags_.shape.num_q_heads = 8;
  flags_.shape.num_kv_heads = 3;
  EXPECT_FALSE(CheckBenchFlags(flags_).ok());
  flags_.shape.num_kv_heads = 2;
  flags_.rate = -1;
  EXPECT_FALSE(CheckBenchFlags(flags_).ok());
}

TEST(ProgressBarTest, FillsByTimeOrByRequestsWhicheverIsFurther) {
  EXPECT_EQ(RenderProgress({absl::Seconds(10), 0}, absl::Seconds(5), 40, 10),
            "[###############               ] 5.0 s, 40 done, 10 failed, "
            "10.0/s");
  EXPECT_EQ(
      RenderProgress({absl::InfiniteDuration(), 10}, absl::Seconds(1), 10, 0),
      "[##############################] 1.0 s, 10 done, 0 failed, 10.0/s");
}

}  // namespace
}  // namespace attn::attnctl
