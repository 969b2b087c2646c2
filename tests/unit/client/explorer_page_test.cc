#include "client/cpp/attnctl/explorer_page.h"

#include <gmock/gmock.h>
#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>

#include <limits>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace attn::attnctl {
namespace {

using client::Tensor;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kDataBegin[] = "<script type=\"application/json\" id=\"data\">";

// [1, 2, 2, 3]: two heads, the last two of three tokens as rows.
Tensor Weights() {
  return Tensor::FromFloats({0.1F, 0.2F, 0.7F, 0.3F, 0.3F, 0.4F,  //
                             0.5F, 0.4F, 0.1F, 1.0F, 0.0F, 0.0F},
                            {1, 2, 2, 3})
      .value();
}

WeightsViewOptions Named() { return {.tokens = {{"by", "the", "bank"}}}; }

std::string Page(const WeightsViewOptions& options = Named(),
                 const Tensor& weights = Weights()) {
  const auto page = RenderExplorer(weights, options);
  return page.ok() ? *page : std::string(page.status().message());
}

// What stands in the page between the data's tags, as a browser finds it: up
// to the first "</script".
std::string DataText(const std::string& page) {
  const size_t begin = page.find(kDataBegin) + sizeof(kDataBegin) - 1;
  return page.substr(begin, page.find("</script", begin) - begin);
}

google::protobuf::Struct Data(const std::string& page) {
  google::protobuf::Struct object;
  const auto status =
      google::protobuf::util::JsonStringToMessage(DataText(page), &object);
  EXPECT_TRUE(status.ok()) << status.ToString();
  return object;
}

std::vector<std::string> Texts(const google::protobuf::Value& list) {
  std::vector<std::string> texts;
  for (const auto& value : list.list_value().values()) {
    texts.push_back(value.string_value());
  }
  return texts;
}

// The weights as the script reads them.
std::vector<double> Unpacked(const google::protobuf::Struct& data) {
  std::string bytes;
  EXPECT_TRUE(
      absl::Base64Unescape(data.fields().at("weights").string_value(), &bytes));
  std::vector<double> weights;
  for (size_t i = 0; i + 1 < bytes.size(); i += 2) {
    const int step = static_cast<uint8_t>(bytes[i]) |
                     static_cast<uint8_t>(bytes[i + 1]) << 8;
    weights.push_back(step / data.fields().at("steps").number_value());
  }
  return weights;
}

TEST(ExplorerPageTest, DataNamesTheAxes) {
  const google::protobuf::Struct data = Data(Page());
  EXPECT_EQ(data.fields().at("heads").number_value(), 2);
  EXPECT_THAT(Texts(data.fields().at("queries")), ElementsAre("the", "bank"));
  EXPECT_THAT(Texts(data.fields().at("keys")),
              ElementsAre("by", "the", "bank"));
}

TEST(ExplorerPageTest, WeightsAreRightToHalfAStep) {
  const std::vector<double> weights = Unpacked(Data(Page()));
  const std::vector<float> expected = Weights().ToFloats().value();
  ASSERT_EQ(weights.size(), expected.size());
  for (size_t i = 0; i < weights.size(); ++i) {
    EXPECT_NEAR(weights[i], expected[i], 0.5 / 65535 + 1e-7) << i;
  }
}

TEST(ExplorerPageTest, WhatIsNoProbabilityIsCutToOne) {
  const Tensor odd =
      Tensor::FromFloats({std::numeric_limits<float>::quiet_NaN(), -1.0F, 2.0F},
                         {1, 1, 1, 3})
          .value();
  EXPECT_THAT(Unpacked(Data(Page({}, odd))), ElementsAre(0, 0, 1));
}

TEST(ExplorerPageTest, FirstEntryOfTheBatchIsShown) {
  const Tensor two =
      Tensor::FromFloats({0.0F, 1.0F, 1.0F, 0.0F}, {2, 1, 1, 2}).value();
  EXPECT_THAT(Unpacked(Data(Page({}, two))), ElementsAre(0, 1));
}

TEST(ExplorerPageTest, BeginsWithTheMeanOrWithWhatIsAskedFor) {
  EXPECT_TRUE(Data(Page()).fields().at("head").has_null_value());
  EXPECT_EQ(Data(Page()).fields().at("query").number_value(), 0);
  WeightsViewOptions options = Named();
  options.head = "1";
  options.row = "bank";
  EXPECT_EQ(Data(Page(options)).fields().at("head").number_value(), 1);
  EXPECT_EQ(Data(Page(options)).fields().at("query").number_value(), 1);
}

TEST(ExplorerPageTest, TokensCannotBreakOut) {
  const std::vector<std::string> hostile = {
      "</script><script>alert(1)</script>", "<!--<script>",
      "\"\\\n{{style}}{{data}}"};
  WeightsViewOptions options;
  options.tokens.keys = hostile;
  const std::string page = Page(options);
  EXPECT_EQ(Texts(Data(page).fields().at("keys")), hostile);
  EXPECT_THAT(DataText(page), Not(HasSubstr("<")));
  EXPECT_THAT(page, Not(HasSubstr("alert(1)</script>")));
}

TEST(ExplorerPageTest, PageNeedsNothingFromElsewhere) {
  const std::string page = Page();
  for (const char* outside : {"http:", "https:", "src=", "@import", "url("}) {
    EXPECT_THAT(page, Not(HasSubstr(outside)));
  }
  EXPECT_THAT(page, HasSubstr("prefers-color-scheme"));
  EXPECT_THAT(page, HasSubstr("ArrowLeft"));
  EXPECT_THAT(page, Not(HasSubstr("{{")));
}

TEST(ExplorerPageTest, UnknownNamesAndWrongCountsAreErrors) {
  WeightsViewOptions options = Named();
  options.head = "2";
  EXPECT_THAT(Page(options), HasSubstr("number below 2; got \"2\""));
  options = Named();
  options.row = "river";
  EXPECT_THAT(Page(options), HasSubstr("row: must be a token"));
  options = Named();
  options.tokens.keys.pop_back();
  EXPECT_THAT(Page(options), HasSubstr("each of the 3 keys; got 2"));
  EXPECT_THAT(Page({}, Tensor::FromFloats({1.0F}, {1, 1}).value()),
              HasSubstr("weights must be [B, heads, q_len, kv_len]"));
}

TEST(ExplorerPageTest, MoreThanABrowserTakesIsRefused) {
  const std::vector<float> row(16385, 0.0F);
  EXPECT_THAT(Page({}, Tensor::FromFloats(row, {1, 1, 1, 16385}).value()),
              HasSubstr("at most 16384 rows and keys and 33554432 weights; got "
                        "1 heads x 1 rows x 16385 keys"));
}

}  // namespace
}  // namespace attn::attnctl
