#include "client/cpp/attnctl/live_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace attn::attnctl {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kScrape[] = R"(attn_tasks_total{outcome="completed"} 20
grpc_server_handling_seconds_bucket{grpc_method="Attend",le="0.001"} 20
grpc_server_handling_seconds_bucket{grpc_method="Attend",le="+Inf"} 20
grpc_server_handling_seconds_count{grpc_method="Attend"} 20
grpc_server_handling_seconds_count{grpc_method="AppendKv"} 0
attn_sessions 2
attn_kv_bytes 10
attn_workers 2
)";

std::string Render(const std::vector<client::Session>& sessions) {
  const MetricSet metrics = MetricSet::Parse(kScrape).value();
  return RenderLiveJson({.metrics = metrics,
                         .interval = absl::Seconds(2),
                         .sessions = sessions,
                         .max_sessions = 1});
}

TEST(LiveJsonTest, IsOneLine) {
  const std::string json = Render({});
  EXPECT_EQ(json.find('\n'), json.size() - 1);
  EXPECT_THAT(json, ::testing::StartsWith(
                        "{\"since_start\": false, \"interval_seconds\": 2, "));
}

TEST(LiveJsonTest, RatesAreOfTheIntervalAndGaugesAsTheyAre) {
  const std::string json = Render({});
  EXPECT_THAT(json, HasSubstr("\"tasks_per_second\": 10,"));
  EXPECT_THAT(json, HasSubstr("\"kv_bytes\": 10,"));
  EXPECT_THAT(json, HasSubstr("\"draining\": false,"));
}

TEST(LiveJsonTest, MethodsThatWereCalledHaveLatencies) {
  const std::string json = Render({});
  EXPECT_THAT(json, HasSubstr("\"methods\": {\"Attend\": {\"count\": 20, "
                              "\"p50_ms\": 0.5, "));
  EXPECT_THAT(json, Not(HasSubstr("AppendKv")));
}

TEST(LiveJsonTest, NothingObservedIsNull) {
  const std::string json = Render({});
  EXPECT_THAT(json, HasSubstr("\"mean_batch_size\": null,"));
  EXPECT_THAT(json, HasSubstr("\"compute\": {\"count\": 0, \"p50_ms\": null,"));
}

TEST(LiveJsonTest, LargestSessionsAreNamed) {
  EXPECT_THAT(Render({{.session_id = "small", .kv_bytes = 1},
                      {.session_id = "large", .kv_bytes = 9}}),
              HasSubstr("\"largest_sessions\": [{\"session_id\": \"large\", "
                        "\"kv_bytes\": 9}]}\n"));
}

}  // namespace
}  // namespace attn::attnctl
