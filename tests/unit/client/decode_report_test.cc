#include "client/cpp/attnctl/decode_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace attn::attnctl {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

DecodeReport Report() {
  DecodeReport report;
  report.plan.sessions = 8;
  report.plan.spec.num_layers = 12;
  report.plan.prefix = 100;
  report.decode.prefix_tokens = 800;
  report.decode.prefix_elapsed = absl::Seconds(2);
  report.decode.tokens = 50;
  report.decode.decode_elapsed = absl::Milliseconds(500);
  report.decode.token_latency.Record(absl::Milliseconds(80));
  report.calls.completed = 600;
  report.calls.batch_size_sum = 1200;
  report.calls.latency.Record(absl::Milliseconds(4));
  return report;
}

TEST(DecodeReportTest, TableGivesTokensPerSecondAndLatencies) {
  const std::string text = RenderDecodeTable(Report());
  EXPECT_THAT(text,
              HasSubstr("sessions         8 with 12 layers and 100 tokens "
                        "each\n"));
  EXPECT_THAT(text, HasSubstr("prefix           400.0 tokens/s, 800 in 2s\n"));
  EXPECT_THAT(text, HasSubstr("decode           100.0 tokens/s, 50 in 500ms"));
  EXPECT_THAT(text, HasSubstr("600 completed, 0 failed, server batch 2.00"));
  EXPECT_THAT(text, HasSubstr("\ntoken                80.000"));
  EXPECT_THAT(text, HasSubstr("\ncall                  4.000"));
  EXPECT_THAT(text, Not(HasSubstr("errors")));
}

TEST(DecodeReportTest, StopAndErrorsAreShown) {
  DecodeReport report = Report();
  report.stopped_early = true;
  report.plan.batch = true;
  report.calls.errors["NOT_FOUND (SESSION_EXPIRED)"] = 2;
  const std::string text = RenderDecodeTable(report);
  EXPECT_THAT(text, ::testing::StartsWith("stopped early"));
  EXPECT_THAT(text, HasSubstr("each, in one AttendBatch\n"));
  EXPECT_THAT(text, HasSubstr("\nerrors\n  NOT_FOUND (SESSION_EXPIRED)    "));
  EXPECT_THAT(RenderDecodeJson(report),
              HasSubstr("\"errors: NOT_FOUND (SESSION_EXPIRED)\": 2\n}"));
}

TEST(DecodeReportTest, JsonIsFlat) {
  const std::string json = RenderDecodeJson(Report());
  EXPECT_THAT(json, HasSubstr("\"sessions\": 8,"));
  EXPECT_THAT(json, HasSubstr("\"tokens_per_second\": 100,"));
  EXPECT_THAT(json, HasSubstr("\"token_p50_ms\": 80,"));
  EXPECT_THAT(json, HasSubstr("\"call_max_ms\": 4,"));
  EXPECT_THAT(json, HasSubstr("\"mean_batch_size\": 2,"));
}

TEST(DecodeReportTest, EmptyRunHasNoDivisionByZero) {
  const std::string json = RenderDecodeJson({});
  EXPECT_THAT(json, HasSubstr("\"tokens_per_second\": 0,"));
  EXPECT_THAT(json, HasSubstr("\"mean_batch_size\": 0,"));
  EXPECT_THAT(RenderDecodeTable({}),
              HasSubstr("decode           0.0 tokens/s"));
}

}  // namespace
}  // namespace attn::attnctl
