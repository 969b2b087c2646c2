#include "client/cpp/attnctl/prometheus_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace attn::attnctl {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

constexpr char kScrape[] = R"(# HELP a_total Things.
# TYPE a_total counter
a_total{outcome="ok",kind="x"} 3
a_total{outcome="ok",kind="y"} 4 1700000000000
a_total{outcome="bad"} 1e3

gauge -2.5
odd{text="a \"b\" \\ c\nd,}"} +Inf
h_bucket{kind="p",le="0.1"} 10
h_bucket{kind="p",le="0.2"} 30
h_bucket{kind="p",le="+Inf"} 40
h_bucket{kind="d",le="0.1"} 10
h_bucket{kind="d",le="0.2"} 10
h_bucket{kind="d",le="+Inf"} 10
h_sum 12
h_count 50
)";

MetricSet Scrape() { return MetricSet::Parse(kScrape).value(); }

TEST(PrometheusTextTest, SumsOverMatchingLabels) {
  EXPECT_EQ(Scrape().Sum("a_total"), 1007);
  EXPECT_EQ(Scrape().Sum("a_total", {{"outcome", "ok"}}), 7);
  EXPECT_EQ(Scrape().Sum("gauge"), -2.5);
  EXPECT_EQ(Scrape().Sum("missing"), 0);
  EXPECT_THAT(Scrape().SumBy("a_total", "outcome"),
              ElementsAre(Pair("bad", 1000), Pair("ok", 7)));
}

TEST(PrometheusTextTest, LabelValuesAreUnescaped) {
  const MetricSet metrics = Scrape();
  const auto odd = std::find_if(
      metrics.samples().begin(), metrics.samples().end(),
      [](const MetricSample& sample) { return sample.name == "odd"; });
  ASSERT_NE(odd, metrics.samples().end());
  EXPECT_EQ(odd->labels.at("text"), "a \"b\" \\ c\nd,}");
  EXPECT_TRUE(std::isinf(odd->value));
}

TEST(PrometheusTextTest, QuantilesInterpolateWithinTheirBucket) {
  // p: 10 up to 0.1, 20 more up to 0.2, 10 beyond.
  const Labels p = {{"kind", "p"}};
  EXPECT_DOUBLE_EQ(Scrape().Quantile("h", 0.125, p), 0.05);
  EXPECT_DOUBLE_EQ(Scrape().Quantile("h", 0.25, p), 0.1);
  EXPECT_DOUBLE_EQ(Scrape().Quantile("h", 0.5, p), 0.15);
  EXPECT_DOUBLE_EQ(Scrape().Quantile("h", 0.99, p), 0.2);
  EXPECT_TRUE(std::isnan(Scrape().Quantile("none", 0.5)));
}

TEST(PrometheusTextTest, HistogramsAddUpOverOtherLabels) {
  // 20 of 50 up to 0.1.
  EXPECT_DOUBLE_EQ(Scrape().Quantile("h", 0.2), 0.05);
  EXPECT_DOUBLE_EQ(Scrape().Mean("h"), 0.24);
  EXPECT_TRUE(std::isnan(Scrape().Mean("none")));
}

TEST(PrometheusTextTest, LinesThatAreNoSamplesAreNamed) {
  for (const char* line : {"a", "a{", "a{b}", "a{b=\"c} 1", "a{b=\"c\"", "{} 1",
                           "a x", "a 1 2 3", "<html>", "a{b=\"c\\"}) {
    const auto metrics = MetricSet::Parse(std::string("ok 1\n") + line);
    EXPECT_FALSE(metrics.ok()) << line;
    EXPECT_THAT(std::string(metrics.status().message()),
                ::testing::StartsWith("line 2 "));
  }
}

}  // namespace
}  // namespace attn::attnctl
