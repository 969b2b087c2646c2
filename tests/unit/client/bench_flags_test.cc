#include "client/cpp/attnctl/bench_flags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>

#include "client/cpp/attnctl/progress_bar.h"

namespace attn::attnctl {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

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
  EXPECT_THAT(flags_.rates, ElementsAre(50));
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
        "--concurrency 0", "--concurrency 1,5000", "--rate 5,x",
        "--batch-items 5000", "--head-dim 0"}) {
    EXPECT_THROW(app_.parse(line), CLI::ParseError) << line;
  }
}

TEST_F(BenchFlagsTest, SessionsHaveFlagsOfTheirOwn) {
  app_.parse(
      "--sessions 8 --layers 12 --heads 16 --kv-heads 4 --head-dim 128 "
      "--prefix 0 --steps 7 --batch --kv-dtype bf16");
  EXPECT_EQ(flags_.decode.sessions, 8);
  EXPECT_EQ(flags_.decode.layers, 12);
  EXPECT_EQ(flags_.shape.num_q_heads, 16);
  EXPECT_EQ(flags_.decode.prefix, 0);
  EXPECT_EQ(flags_.decode.steps, 7);
  EXPECT_TRUE(flags_.decode.batch);
  EXPECT_EQ(flags_.decode.kv_dtype, client::KvDtype::kBf16);
}

TEST_F(BenchFlagsTest, FlagsThatSessionsDoNotHaveAreUsageErrors) {
  for (const char* line :
       {"--layers 2", "--batch", "--prefix 3", "--steps 3", "--sessions 0",
        "--sessions 2 --rate 5", "--sessions 2 --kv-len 9",
        "--sessions 2 --method batch", "--sessions 2 --verify 1",
        "--sessions 2 --steps 0", "--sessions 2 --plot x.svg",
        "--sessions 2 --duration 1s"}) {
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
  for (const double rate : {0.0, -1.0}) {
    flags_.rates = {5, rate};
    EXPECT_FALSE(CheckBenchFlags(flags_).ok());
  }
}

TEST_F(BenchFlagsTest, ListsAreOneBenchForEach) {
  app_.parse("-c 1,4,16");
  const std::vector<BenchFlags> closed = LevelsOf(flags_);
  ASSERT_EQ(closed.size(), 3u);
  EXPECT_EQ(closed[1].concurrency, 4u);
  EXPECT_EQ(closed[1].rate, 0);
  flags_.rates = {50, 100};
  const std::vector<BenchFlags> open = LevelsOf(flags_);
  ASSERT_EQ(open.size(), 2u);
  EXPECT_EQ(open[1].rate, 100);
}

TEST_F(BenchFlagsTest, OneLoadIsNoPlot) {
  app_.parse("--plot x.svg");
  EXPECT_THAT(std::string(CheckBenchFlags(flags_).message()),
              HasSubstr("--concurrency 1,2,4,8"));
  flags_.concurrencies = {1, 2};
  EXPECT_TRUE(CheckBenchFlags(flags_).ok());
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
