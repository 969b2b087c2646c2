#include "client/cpp/attnctl/live_view.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_format.h"

namespace attn::attnctl {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

MetricSet Scrape(int tasks, int fast, int slow) {
  return MetricSet::Parse(
             absl::StrFormat(R"(attn_tasks_total{outcome="completed"} %d
grpc_server_handled_total{grpc_method="Attend"} %d
grpc_server_handling_seconds_bucket{grpc_method="Attend",le="0.001"} %d
grpc_server_handling_seconds_bucket{grpc_method="Attend",le="0.1"} %d
grpc_server_handling_seconds_bucket{grpc_method="Attend",le="+Inf"} %d
grpc_server_handling_seconds_count{grpc_method="Attend"} %d
grpc_server_handling_seconds_count{grpc_method="AppendKv"} 0
attn_request_bytes_sum 4096
attn_sessions 2
attn_kv_bytes 1048576
attn_kv_bytes_limit 4194304
attn_workers 2
attn_workers_busy 1
)",
                             tasks, tasks, fast, fast + slow, fast + slow,
                             fast + slow))
      .value();
}

std::vector<client::Session> Sessions() {
  return {{.session_id = "small", .kv_bytes = 1},
          {.session_id = "large", .kv_bytes = 9},
          {.session_id = "middle", .kv_bytes = 5}};
}

TEST(LiveViewTest, RatesAndPercentilesAreOfTheIntervalAlone) {
  // 1000 slow calls long ago, 20 fast ones since.
  const MetricSet since = Scrape(1020, 20, 1000).Since(Scrape(1000, 0, 1000));
  const std::string text = RenderLive(
      {.metrics = since, .interval = absl::Seconds(2), .sessions = {}});
  EXPECT_THAT(text, HasSubstr("over 2.0 s\nrates          10.0 calls/s, 10.0 "
                              "tasks/s, 0.0 refused/s, in 0 bytes/s"));
  EXPECT_THAT(text, HasSubstr("Attend               20      0.500      0.900"));
  EXPECT_THAT(text, Not(HasSubstr("AppendKv")));
  EXPECT_THAT(text, HasSubstr("sessions       2; KV memory 1 MiB of 4 MiB "
                              "(25.0%), 0 bytes of it shared"));
  EXPECT_THAT(text, HasSubstr("workers 1 of 2 busy; - tasks a batch\n"));
}

TEST(LiveViewTest, LargestSessionsComeFirst) {
  const MetricSet metrics = Scrape(1, 1, 0);
  const std::vector<client::Session> sessions = Sessions();
  const std::string text = RenderLive({.metrics = metrics,
                                       .interval = absl::Seconds(1),
                                       .is_first = true,
                                       .sessions = sessions,
                                       .max_sessions = 2});
  EXPECT_THAT(text, HasSubstr("since the server's start\n"));
  EXPECT_THAT(text, HasSubstr("\nmiddle"));
  EXPECT_LT(text.find("\nlarge"), text.find("\nmiddle"));
  EXPECT_THAT(text, Not(HasSubstr("small")));
}

// A counter that is smaller than before belongs to a new process.
TEST(LiveViewTest, RestartedServerCountsFromZero) {
  const MetricSet since = Scrape(5, 5, 0).Since(Scrape(1000, 1000, 0));
  EXPECT_EQ(since.Sum("attn_tasks_total"), 5);
  EXPECT_EQ(since.Sum("attn_sessions"), 2);
}

}  // namespace
}  // namespace attn::attnctl
