#include "server/units.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace attn {
namespace {

using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using testing::HasSubstr;

constexpr int64_t kMax = int64_t{1} << 40;

TEST(UnitsTest, ReadsSizes) {
  EXPECT_EQ(*ParseBytes("0", {.max = kMax}), 0);
  EXPECT_EQ(*ParseBytes("1500", {.max = kMax}), 1500);
  EXPECT_EQ(*ParseBytes("3KiB", {.max = kMax}), 3072);
  EXPECT_EQ(*ParseBytes("256MiB", {.max = kMax}), int64_t{256} << 20);
  EXPECT_EQ(*ParseBytes("1GiB", {.max = kMax}), int64_t{1} << 30);
}

TEST(UnitsTest, RefusesSizesOfAnyOtherForm) {
  for (const char* text : {"", " 1", "1 KiB", "1kib", "1KB", "1.5MiB", "-1",
                           "+1", "KiB", "0x10", "1MiBs"}) {
    const auto bytes = ParseBytes(text, {.max = kMax});
    EXPECT_THAT(bytes.status().message(),
                HasSubstr("must be a whole number of bytes"))
        << text;
  }
}

TEST(UnitsTest, RefusesSizesThatOverflow) {
  EXPECT_FALSE(ParseBytes("9223372036854775808", {.max = INT64_MAX}).ok());
  EXPECT_FALSE(ParseBytes("9223372036854775807KiB", {.max = INT64_MAX}).ok());
}

TEST(UnitsTest, NamesRangeAndFoundValue) {
  EXPECT_EQ(ParseBytes("2GiB", {1, int64_t{1} << 30}).status().message(),
            "must be from 1 to 1GiB; got \"2GiB\"");
  EXPECT_EQ(ParseInteger("0", {1, 5}).status().message(),
            "must be from 1 to 5; got \"0\"");
  EXPECT_EQ(
      ParseDuration("1m", {Duration::zero(), seconds(30)}).status().message(),
      "must be from 0s to 30s; got \"1m\"");
}

TEST(UnitsTest, ReadsTimes) {
  const DurationRange range{Duration::zero(), hours(100)};
  EXPECT_EQ(*ParseDuration("0", range), Duration::zero());
  EXPECT_EQ(*ParseDuration("250us", range), microseconds(250));
  EXPECT_EQ(*ParseDuration("7ms", range), milliseconds(7));
  EXPECT_EQ(*ParseDuration("2s", range), seconds(2));
  EXPECT_EQ(*ParseDuration("3m", range), minutes(3));
  EXPECT_EQ(*ParseDuration("1h", range), hours(1));
}

TEST(UnitsTest, RefusesTimesOfAnyOtherForm) {
  for (const char* text :
       {"", "5", "5 s", "1.5s", "-1s", "1S", "1ns", "1d", "s"}) {
    EXPECT_FALSE(ParseDuration(text, {Duration::zero(), hours(100)}).ok())
        << text;
  }
}

TEST(UnitsTest, WritesTheLargestUnitThatFits) {
  EXPECT_EQ(FormatBytes(0), "0");
  EXPECT_EQ(FormatBytes(1536), "1536");
  EXPECT_EQ(FormatBytes(2048), "2KiB");
  EXPECT_EQ(FormatBytes(int64_t{3} << 30), "3GiB");
  EXPECT_EQ(FormatDuration(Duration::zero()), "0s");
  EXPECT_EQ(FormatDuration(seconds(90)), "90s");
  EXPECT_EQ(FormatDuration(minutes(120)), "2h");
  EXPECT_EQ(FormatDuration(microseconds(1500)), "1500us");
}

TEST(UnitsTest, ReadsAndWritesShares) {
  for (const char* text : {"off", "1%", "50%", "100%"}) {
    EXPECT_EQ(FormatShare(*ParseShare(text)), text);
  }
  EXPECT_EQ(*ParseShare("off"), 0);
  EXPECT_EQ(*ParseShare("75%"), 0.75);
  for (const char* text : {"", "0%", "0", "101%", "50", "0.5", "5 %", "-5%"}) {
    EXPECT_EQ(
        ParseShare(text).status().message(),
        "must be from 1% to 100%, or off; got \"" + std::string(text) + "\"");
  }
}

}  // namespace
}  // namespace attn
