#include "client/cpp/attnctl/stats_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace attn::attnctl {
namespace {

using ::testing::HasSubstr;

MetricSet Scrape() {
  return MetricSet::Parse(R"(attn_build_info{version="0.1.0",isa="avx2"} 1
attn_admitted_tasks_total 5
attn_tasks_total{outcome="completed"} 4
attn_tasks_total{outcome="expired"} 1
attn_refused_total{reason="QUEUE_FULL"} 2
attn_sessions 3
attn_kv_bytes 4096
attn_kv_bytes_limit 65536
attn_kv_shared_bytes 1024
attn_sessions_closed_total{reason="expired"} 6
attn_batch_size_sum 5
attn_batch_size_count 2
attn_queue_wait_seconds_bucket{le="0.001"} 2
attn_queue_wait_seconds_bucket{le="+Inf"} 2
attn_queue_wait_seconds_count 2
)")
      .value();
}

TEST(StatsReportTest, TextNamesTasksBatchesAndStages) {
  const std::string text = RenderStats(Scrape());
  EXPECT_THAT(text, HasSubstr("isa avx2, version 0.1.0"));
  EXPECT_THAT(text, HasSubstr("5 admitted: 4 completed, 1 expired"));
  EXPECT_THAT(text, HasSubstr("2 QUEUE_FULL"));
  EXPECT_THAT(text, HasSubstr("2.50 tasks on average"));
  EXPECT_THAT(text, HasSubstr("queue wait              2      0.500"));
}

TEST(StatsReportTest, SessionsAndTheirMemoryAreShown) {
  EXPECT_THAT(RenderStats(Scrape()),
              HasSubstr("3, 4096 KV bytes of 65536, 1024 shared\n"));
  const std::string json = RenderStatsJson(Scrape());
  EXPECT_THAT(json, HasSubstr("\"attn_sessions\": 3"));
  EXPECT_THAT(json, HasSubstr("\"attn_kv_bytes_limit\": 65536"));
  EXPECT_THAT(json, HasSubstr("\"attn_kv_shared_bytes\": 1024"));
  EXPECT_THAT(json, HasSubstr("\"attn_sessions_closed_total.expired\": 6"));
}

TEST(StatsReportTest, JsonIsFlatAndNamesLabels) {
  const std::string json = RenderStatsJson(Scrape());
  EXPECT_THAT(json, HasSubstr("\"attn_tasks_total.expired\": 1"));
  EXPECT_THAT(json, HasSubstr("\"batch_size_mean\": 2.5"));
  EXPECT_THAT(json, HasSubstr("\"queue_wait_p50_seconds\": 0.0005"));
  EXPECT_THAT(json, HasSubstr("\"compute_p50_seconds\": null"));
}

}  // namespace
}  // namespace attn::attnctl
