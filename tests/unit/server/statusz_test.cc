#include "server/statusz.h"

#include <gmock/gmock.h>
#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>

namespace attn {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

StatuszFacts Facts() {
  StatuszFacts facts;
  facts.version = "1.2.3";
  facts.isa = "AVX2";
  facts.huge_pages = "madvise";
  facts.uptime = std::chrono::milliseconds(1500);
  facts.ready = true;
  facts.workers = 2;
  facts.totals.completed = 17;
  facts.pool_bytes = 3 << 20;
  facts.distributions.call_seconds = {
      .bounds = {0.001, 0.002}, .counts = {10, 30, 30}, .sum = 0.045};
  facts.distributions.request_bytes = {
      .bounds = {1073741824}, .counts = {1, 1}, .sum = 7};
  facts.sessions = {.sessions = 4, .kv_bytes = 8192, .kv_shared_bytes = 4096};
  facts.kv_bytes_limit = 1 << 30;
  facts.resident_bytes = 5 << 20;
  facts.totals.refused = 6;
  facts.config = "workers = 2\n<b>\n";
  return facts;
}

google::protobuf::Struct Json(const StatuszFacts& facts) {
  google::protobuf::Struct object;
  const auto status = google::protobuf::util::JsonStringToMessage(
      RenderStatuszJson(facts), &object);
  EXPECT_TRUE(status.ok()) << status.ToString();
  return object;
}

std::vector<double> Numbers(const google::protobuf::Value& list) {
  std::vector<double> numbers;
  for (const auto& value : list.list_value().values()) {
    numbers.push_back(value.number_value());
  }
  return numbers;
}

TEST(StatuszTest, PageShowsFactsInUnitsForPeople) {
  const std::string page = RenderStatuszHtml(Facts());
  EXPECT_THAT(page, HasSubstr("Completed</th><td id=\"tasks_completed\" "
                              "data-unit=\"count\">17</td>"));
  EXPECT_THAT(page, HasSubstr("data-unit=\"bytes\">3.0 MiB</td>"));
  EXPECT_THAT(page, HasSubstr("id=\"onednn\" data-unit=\"\">none</td>"));
  EXPECT_THAT(page, HasSubstr("id=\"call_p50_seconds\" "
                              "data-unit=\"seconds\">1.250 ms</td>"));
  EXPECT_THAT(page, HasSubstr("id=\"compute_p99_seconds\" "
                              "data-unit=\"seconds\">none</td>"));
  EXPECT_THAT(page, Not(HasSubstr("{{")));
}

TEST(StatuszTest, PageObeysItsContentPolicy) {
  const std::string page = RenderStatuszHtml(Facts());
  for (const char* refused :
       {"<style", "<script>", "style=", "onclick", "http:", "https:", "//"}) {
    EXPECT_THAT(page, Not(HasSubstr(refused)));
  }
  for (const HttpFile& file : StatuszFiles()) {
    // Relative, so that a proxy may put the server under a path.
    EXPECT_THAT(page,
                HasSubstr("\"" + std::string(file.path.substr(1)) + "\""));
    EXPECT_GT(file.text.size(), 100u);
    EXPECT_THAT(std::string(file.text), Not(HasSubstr("https:")));
  }
}

// What stands between each `start` and the next quotation mark.
std::vector<std::string> WordsAfter(const std::string& start,
                                    const std::string& text) {
  std::vector<std::string> words;
  for (size_t at = text.find(start); at != std::string::npos;
       at = text.find(start, at)) {
    at += start.size();
    words.push_back(text.substr(at, text.find('"', at) - at));
  }
  return words;
}

// Whatever the script asks an answer for must be in it.
TEST(StatuszTest, JsonHasWhatTheScriptReads) {
  const google::protobuf::Struct object = Json(Facts());
  const std::string script(StatuszFiles().front().text);
  const auto& numbers = object.fields();
  const auto& histograms = numbers.at("histograms").struct_value().fields();
  std::vector<std::string> asked;
  for (const char* reader : {"rate(\"", "level(\""}) {
    for (const std::string& key : WordsAfter(reader, script)) {
      EXPECT_EQ(numbers.count(key), 1u) << key;
      asked.push_back(key);
    }
  }
  for (const char* reader : {"sumRate(\"", "mean(\"", "percentile(\""}) {
    for (const std::string& key : WordsAfter(reader, script)) {
      EXPECT_EQ(histograms.count(key), 1u) << key;
      asked.push_back(key);
    }
  }
  EXPECT_GT(asked.size(), 15u);
}

TEST(StatuszTest, JsonHasHistogramsAndTheirPercentiles) {
  const google::protobuf::Struct object = Json(Facts());
  const auto& calls = object.fields()
                          .at("histograms")
                          .struct_value()
                          .fields()
                          .at("call_seconds")
                          .struct_value()
                          .fields();
  EXPECT_THAT(Numbers(calls.at("bounds")), ElementsAre(0.001, 0.002));
  EXPECT_THAT(Numbers(calls.at("counts")), ElementsAre(10, 30, 30));
  EXPECT_EQ(calls.at("sum").number_value(), 0.045);
  EXPECT_THAT(RenderStatuszJson(Facts()), HasSubstr("[1073741824]"));
  // Rank 15 of 30 is the 5th of the 20 between 1 and 2 ms, rank 27 the 17th.
  EXPECT_NEAR(object.fields().at("call_p50_seconds").number_value(), 0.00125,
              1e-9);
  EXPECT_NEAR(object.fields().at("call_p90_seconds").number_value(), 0.00185,
              1e-9);
  EXPECT_TRUE(object.fields().at("compute_p50_seconds").has_null_value());
}

TEST(StatuszTest, PageEscapesText) {
  const std::string page = RenderStatuszHtml(Facts());
  EXPECT_THAT(page, HasSubstr("&lt;b&gt;"));
  EXPECT_THAT(page, Not(HasSubstr("<b>")));
}

TEST(StatuszTest, JsonIsAnObjectOfBaseUnits) {
  const google::protobuf::Struct object = Json(Facts());
  const auto& fields = object.fields();
  EXPECT_EQ(fields.at("version").string_value(), "1.2.3");
  EXPECT_EQ(fields.at("pool_bytes").number_value(), 3 << 20);
  EXPECT_EQ(fields.at("uptime_seconds").number_value(), 1.5);
  EXPECT_EQ(fields.at("tasks_completed").number_value(), 17);
  EXPECT_EQ(fields.at("huge_pages").string_value(), "madvise");
  EXPECT_EQ(fields.at("requests_refused").number_value(), 6);
  EXPECT_EQ(fields.at("sessions").number_value(), 4);
  EXPECT_EQ(fields.at("kv_bytes").number_value(), 8192);
  EXPECT_EQ(fields.at("kv_shared_bytes").number_value(), 4096);
  EXPECT_EQ(fields.at("kv_bytes_limit").number_value(), 1 << 30);
  EXPECT_EQ(fields.at("resident_bytes").number_value(), 5 << 20);
  EXPECT_TRUE(fields.at("ready").bool_value());
  EXPECT_EQ(fields.at("config").string_value(), "workers = 2\n<b>\n");
}

}  // namespace
}  // namespace attn
