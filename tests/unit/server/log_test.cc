#include "server/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <sstream>

namespace attn {
namespace {

using testing::EndsWith;
using testing::MatchesRegex;

constexpr char kTime[] =
    "20[0-9][0-9]-[0-9][0-9]-[0-9][0-9]T[0-9][0-9]:[0-9][0-9]:[0-9][0-9]"
    "\\.[0-9][0-9][0-9][0-9][0-9][0-9]Z";

class LogTest : public testing::Test {
 protected:
  std::ostringstream out_;
};

TEST_F(LogTest, WritesJsonLines) {
  const Log log(LogLevel::kInfo, LogFormat::kJson, &out_);
  log.Warning("call failed", {{"class", "QUEUE_FULL"}, {"tasks", 3}});
  EXPECT_THAT(
      out_.str(),
      MatchesRegex("\\{\"time\":\"" + std::string(kTime) +
                   "\",\"level\":\"warning\",\"message\":\"call "
                   "failed\",\"class\":\"QUEUE_FULL\",\"tasks\":3\\}\n"));
}

TEST_F(LogTest, EscapesJsonAndPatternMarks) {
  const Log log(LogLevel::kInfo, LogFormat::kJson, &out_);
  log.Info("100% %v {} \"x\"\n", {{"key", "a\nb"}});
  EXPECT_THAT(out_.str(), EndsWith("\"message\":\"100% %v {} \\\"x\\\"\\n\","
                                   "\"key\":\"a\\nb\"}\n"));
}

TEST_F(LogTest, QuotesNumbersThatJsonDoesNotHave) {
  const Log log(LogLevel::kInfo, LogFormat::kJson, &out_);
  log.Info("m", {{"x", std::numeric_limits<double>::quiet_NaN()}});
  EXPECT_THAT(out_.str(), EndsWith(",\"x\":\"nan\"}\n"));
}

TEST_F(LogTest, WritesTextLines) {
  const Log log(LogLevel::kInfo, LogFormat::kText, &out_);
  log.Info("listening", {{"grpc", "127.0.0.1:8001"}, {"note", "two words"}});
  EXPECT_THAT(out_.str(), MatchesRegex(std::string(kTime) +
                                       " info    listening grpc=127.0.0.1:8001 "
                                       "note=\"two words\"\n"));
}

TEST_F(LogTest, TextFromOutsideStaysInItsLine) {
  const Log log(LogLevel::kInfo, LogFormat::kText, &out_);
  log.Info("m", {{"peer", "x\n2026-01-01 error forged"}});
  EXPECT_THAT(out_.str(), EndsWith("m peer=\"x\\n2026-01-01 error forged\"\n"));
}

TEST_F(LogTest, LeavesOutLinesBelowTheLevel) {
  const Log log(LogLevel::kWarning, LogFormat::kText, &out_);
  log.Info("quiet");
  EXPECT_EQ(out_.str(), "");
}

}  // namespace
}  // namespace attn
