#include "server/trace_context.h"

#include <gtest/gtest.h>

namespace attn {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr char kTraceId[] = "4bf92f3577b34da6a3ce929d0e0e4736";
constexpr char kGood[] =
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

TEST(TraceContextTest, ReadsWhatItWrites) {
  const auto context = ParseTraceparent(kGood);
  ASSERT_TRUE(context.has_value());
  EXPECT_EQ(context->trace_id, kTraceId);
  EXPECT_EQ(context->span_id, "00f067aa0ba902b7");
  EXPECT_EQ(context->flags, 1);
  EXPECT_EQ(FormatTraceparent(*context), kGood);
}

TEST(TraceContextTest, KeepsTheFlagsThatItKnows) {
  std::string text = kGood;
  text.replace(text.size() - 2, 2, "fe");
  EXPECT_EQ(ParseTraceparent(text)->flags, 2);
}

TEST(TraceContextTest, LaterVersionsAreReadAsFarAsTheFirstGoes) {
  const std::string rest = std::string(kGood).substr(2);
  EXPECT_TRUE(ParseTraceparent("cc" + rest).has_value());
  EXPECT_TRUE(ParseTraceparent("cc" + rest + "-").has_value());
  const auto longer = ParseTraceparent("01" + rest + "-what.comes,later");
  ASSERT_TRUE(longer.has_value());
  EXPECT_EQ(FormatTraceparent(*longer), kGood);
  EXPECT_FALSE(ParseTraceparent("cc" + rest + ".later").has_value());
}

TEST(TraceContextTest, IgnoresWhatTheStandardSaysTo) {
  const std::string rest = std::string(kGood).substr(2);
  const std::string zero_trace(32, '0');
  for (const std::string& bad :
       {std::string(), std::string("00"), "ff" + rest, "0g" + rest, "0" + rest,
        "000" + rest, std::string(kGood) + "-", kGood + rest,
        std::string(" ") + kGood, std::string(kGood) + " ",
        std::string("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01"),
        "00-" + zero_trace + "-00f067aa0ba902b7-01",
        std::string("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01"),
        std::string("00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01"),
        std::string("00-4bf92f3577b34da6a3ce929d0e0e47361-0f067aa0ba902b7-01"),
        std::string("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1"),
        std::string("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0x"),
        std::string("00_4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7_01"),
        std::string(kGood, sizeof(kGood))}) {
    EXPECT_FALSE(ParseTraceparent(bad).has_value()) << bad;
  }
}

TEST(TraceContextTest, SpanIdsAreNeverZero) {
  EXPECT_EQ(SpanId(0xabc), "0000000000000abc");
  EXPECT_EQ(SpanId(0), "0000000000000001");
}

TEST(TraceContextTest, TimesAreMilliseconds) {
  EXPECT_EQ(FormatServerTiming({.queue = microseconds(336),
                                .compute = milliseconds(12),
                                .total = microseconds(1200345)}),
            "queue;dur=0.336, compute;dur=12.000, total;dur=1200.345");
}

}  // namespace
}  // namespace attn
