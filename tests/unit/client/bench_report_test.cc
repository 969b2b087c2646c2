#include "client/cpp/attnctl/bench_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace attn::attnctl {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

BenchReport Report() {
  BenchReport report;
  report.elapsed = absl::Seconds(2);
  report.figures.completed = 4;
  report.figures.failed = 1;
  report.figures.errors["RESOURCE_EXHAUSTED (QUEUE_FULL)"] = 1;
  report.figures.sent_bytes = 3'000'000;
  report.figures.batch_size_sum = 10;
  for (const int ms : {1, 2, 3, 4}) {
    report.figures.latency.Record(absl::Milliseconds(ms));
  }
  return report;
}

TEST(BenchReportTest, TableSaysThroughputLatencyBytesAndErrors) {
  const std::string text = RenderTable(Report());
  EXPECT_THAT(text, HasSubstr("4 completed, 1 failed in 2s"));
  EXPECT_THAT(text, HasSubstr("2.0 requests/s"));
  EXPECT_THAT(text, HasSubstr("3.0 MB sent (1.5 MB/s)"));
  EXPECT_THAT(text, HasSubstr("2.50 tasks on average"));
  EXPECT_THAT(text, HasSubstr("\nerrors\n  RESOURCE_EXHAUSTED (QUEUE_FULL)  "));
  EXPECT_THAT(text, HasSubstr("4.000      2.500\n"));
  EXPECT_THAT(text, Not(HasSubstr("stopped early")));
}

TEST(BenchReportTest, InterruptedRunSaysSo) {
  BenchReport report = Report();
  report.stopped_early = true;
  EXPECT_THAT(RenderTable(report), HasSubstr("stopped early"));
}

TEST(BenchReportTest, JsonIsFlat) {
  const std::string json = RenderJson(Report());
  EXPECT_THAT(json, HasSubstr("\"requests_completed\": 4"));
  EXPECT_THAT(json, HasSubstr("\"latency_max_ms\": 4,"));
  EXPECT_THAT(json,
              HasSubstr("\"errors: RESOURCE_EXHAUSTED (QUEUE_FULL)\": 1\n}"));
}

TEST(BenchReportTest, EmptyRunHasNoDivisionByZero) {
  const std::string json = RenderJson({});
  EXPECT_THAT(json, HasSubstr("\"requests_per_second\": 0,"));
  EXPECT_THAT(json, HasSubstr("\"mean_batch_size\": 0,"));
  EXPECT_THAT(RenderTable({}), HasSubstr("0.0 requests/s"));
}

}  // namespace
}  // namespace attn::attnctl
