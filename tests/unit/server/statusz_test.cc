#include "server/statusz.h"

#include <gmock/gmock.h>
#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>

namespace attn {
namespace {

using testing::HasSubstr;
using testing::Not;

StatuszFacts Facts() {
  StatuszFacts facts;
  facts.version = "1.2.3";
  facts.isa = "AVX2";
  facts.uptime = std::chrono::milliseconds(1500);
  facts.ready = true;
  facts.workers = 2;
  facts.totals.completed = 17;
  facts.pool_bytes = 3 << 20;
  facts.config = "workers = 2\n<b>\n";
  return facts;
}

TEST(StatuszTest, PageShowsFactsInUnitsForPeople) {
  const std::string page = RenderStatuszHtml(Facts());
  EXPECT_THAT(page, HasSubstr("<td>Completed</td><td>17</td>"));
  EXPECT_THAT(page, HasSubstr("<td>Buffer pool</td><td>3.0 MiB</td>"));
  EXPECT_THAT(page, HasSubstr("<td>oneDNN</td><td>none</td>"));
}

TEST(StatuszTest, PageEscapesText) {
  const std::string page = RenderStatuszHtml(Facts());
  EXPECT_THAT(page, HasSubstr("&lt;b&gt;"));
  EXPECT_THAT(page, Not(HasSubstr("<b>")));
}

TEST(StatuszTest, JsonIsAnObjectOfBaseUnits) {
  google::protobuf::Struct object;
  ASSERT_TRUE(google::protobuf::util::JsonStringToMessage(
                  RenderStatuszJson(Facts()), &object)
                  .ok());
  const auto& fields = object.fields();
  EXPECT_EQ(fields.at("version").string_value(), "1.2.3");
  EXPECT_EQ(fields.at("pool_bytes").number_value(), 3 << 20);
  EXPECT_EQ(fields.at("uptime_seconds").number_value(), 1.5);
  EXPECT_EQ(fields.at("tasks_completed").number_value(), 17);
  EXPECT_TRUE(fields.at("ready").bool_value());
  EXPECT_EQ(fields.at("config").string_value(), "workers = 2\n<b>\n");
}

}  // namespace
}  // namespace attn
