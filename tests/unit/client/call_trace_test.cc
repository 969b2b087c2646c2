#include "client/cpp/attnctl/call_trace.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace attn::attnctl {
namespace {

using testing::ElementsAre;
using testing::Pair;

constexpr char kTraceId[] = "00000000000000010000000000000002";

class CallTraceTest : public testing::Test {
 protected:
  CallTraceTest() { trace_.AddTo(options_); }

  uint64_t next_ = 0;
  CallTrace trace_{[this] { return ++next_; }};
  client::CallOptions options_;
};

TEST_F(CallTraceTest, SendsASampledTraceparent) {
  EXPECT_THAT(options_.metadata,
              ElementsAre(Pair("traceparent", std::string("00-") + kTraceId +
                                                  "-0000000000000003-01")));
}

TEST_F(CallTraceTest, ShowsTheServersSpanAndTimes) {
  *options_.trailing_metadata = {
      {"traceparent", std::string("00-") + kTraceId + "-00f067aa0ba902b7-01"},
      {"server-timing", "total;dur=0.500"}};
  EXPECT_EQ(trace_.Text(),
            std::string("trace ") + kTraceId +
                ", server's span 00f067aa0ba902b7, milliseconds: "
                "total;dur=0.500\n");
  EXPECT_EQ(trace_.JsonMembers(),
            std::string(", \"trace_id\": \"") + kTraceId +
                "\", \"server_span_id\": \"00f067aa0ba902b7\", "
                "\"server_timing\": \"total;dur=0.500\"");
}

TEST_F(CallTraceTest, WithoutAnAnswerTheIdIsThereAlone) {
  EXPECT_EQ(trace_.Text(), std::string("trace ") + kTraceId + "\n");
  *options_.trailing_metadata = {{"traceparent", "short"}};
  EXPECT_EQ(trace_.Text(), std::string("trace ") + kTraceId + "\n");
}

}  // namespace
}  // namespace attn::attnctl
