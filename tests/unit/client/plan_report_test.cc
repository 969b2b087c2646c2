#include "client/cpp/attnctl/plan_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace attn::attnctl {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

CapacityRequest Request() {
  CapacityRequest request;
  request.spec = {.num_layers = 2,
                  .num_kv_heads = 2,
                  .head_dim = 64,
                  .kv_dtype = client::KvDtype::kF16};
  request.tokens = 100;
  request.sessions = 50;
  return request;
}

TEST(PlanReportTest, SaysWhatToSet) {
  const std::string text = RenderPlan(Request(), *MakePlan(Request()));
  EXPECT_THAT(text, HasSubstr("load            50 sessions of 100 tokens; 2 "
                              "layers, 2 KV heads of 64, f16\n"));
  EXPECT_THAT(text, HasSubstr("1 KiB a token, 128 KiB a session (4 pages of 32 "
                              "KiB), 6.25 MiB in all\n"));
  EXPECT_THAT(text,
              HasSubstr("by memory 1, by bandwidth -, with 20% headroom"));
  EXPECT_THAT(text, HasSubstr("(of tests/bench's machine), 91% of it"));
  EXPECT_THAT(text, HasSubstr("\nflags           --kv-memory 10MiB "
                              "--max-sessions 63\n"));
  EXPECT_THAT(text, HasSubstr("--set replicas=1 --set memory=32Gi --set "
                              "kvMemory=10MiB --set settings.max-sessions=63"));
}

TEST(PlanReportTest, GivenBandwidthIsNotCalledMeasured) {
  CapacityRequest request = Request();
  request.memory_bandwidth = 200e9;
  request.tokens_per_second = 2.5;
  const std::string text = RenderPlan(request, *MakePlan(request));
  EXPECT_THAT(text, HasSubstr("bandwidth       200 GB/s, 91% of it"));
  EXPECT_THAT(text, HasSubstr("; 2.5 tokens/s each\n"));
  EXPECT_THAT(text, Not(HasSubstr("tests/bench")));
}

TEST(PlanReportTest, JsonIsFlatAndInBytes) {
  const std::string json = RenderPlanJson(Request(), *MakePlan(Request()));
  EXPECT_THAT(json, HasSubstr("\"session_bytes\": 131072,"));
  EXPECT_THAT(json, HasSubstr("\"kv_memory\": 10485760,"));
  EXPECT_THAT(json, HasSubstr("\"max_sessions\": 63\n}"));
}

}  // namespace
}  // namespace attn::attnctl
