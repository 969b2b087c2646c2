#include "client/cpp/attnctl/weights_view.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace attn::attnctl {
namespace {

using client::Tensor;
using ::testing::HasSubstr;
using ::testing::Not;

// [1, 2, 2, 3]: two heads, the last two of three tokens as rows.
Tensor Weights() {
  return Tensor::FromFloats({0.1F, 0.2F, 0.7F, 0.3F, 0.3F, 0.4F,  //
                             0.5F, 0.4F, 0.1F, 0.8F, 0.1F, 0.1F},
                            {1, 2, 2, 3})
      .value();
}

WeightsViewOptions Named() { return {.tokens = {{"by", "the", "bank"}}}; }

std::string Render(const WeightsViewOptions& options) {
  const auto text = RenderWeights(Weights(), options, {});
  return text.ok() ? *text : std::string(text.status().message());
}

TEST(WeightsViewTest, MapIsTheMeanOfAllHeads) {
  EXPECT_EQ(Render(Named()),
            "mean of 2 heads (rows attend to columns, percent)\n"
            "         by    the   bank \n"
            "the    30.0   30.0   40.0 \n"
            "bank   55.0   20.0   25.0 \n"
            "\n");
}

TEST(WeightsViewTest, OneHeadOrAllCanBeChosen) {
  WeightsViewOptions options = Named();
  options.head = "1";
  EXPECT_THAT(Render(options), HasSubstr("head 1"));
  EXPECT_THAT(Render(options), Not(HasSubstr("head 0")));
  options.head = "all";
  EXPECT_THAT(Render(options), HasSubstr("head 0"));
  options.head = "2";
  EXPECT_THAT(Render(options), HasSubstr("number below 2; got \"2\""));
}

TEST(WeightsViewTest, RowIsShownHeadByHeadWithTheStrongest) {
  WeightsViewOptions options = Named();
  options.row = "bank";
  EXPECT_EQ(Render(options),
            "\"bank\" attends to (percent; the strongest on the right)\n"
            "           by    the   bank \n"
            "head 0   30.0   30.0   40.0  bank 40.0, by 30.0, the 30.0\n"
            "head 1   80.0   10.0   10.0  by 80.0, the 10.0, bank 10.0\n"
            "mean     55.0   20.0   25.0  by 55.0, bank 25.0, the 20.0\n");
}

TEST(WeightsViewTest, ColumnAddsOneBarForEachHead) {
  WeightsViewOptions options = Named();
  options.row = "bank";
  options.column = "by";
  EXPECT_THAT(Render(options),
              HasSubstr("\"bank\" -> \"by\" (of 1)\n"
                        "head 0 0.300 ############\n"
                        "head 1 0.800 ################################\n"));
}

TEST(WeightsViewTest, WithoutTokensNumbersNameTheAxes) {
  WeightsViewOptions options;
  options.row = "1";
  EXPECT_THAT(Render(options), HasSubstr("\"q1\" attends to"));
  EXPECT_THAT(Render(options), HasSubstr("k0     k1     k2"));
}

TEST(WeightsViewTest, UnknownNamesAndWrongCountsAreErrors) {
  WeightsViewOptions options = Named();
  options.row = "river";
  EXPECT_THAT(Render(options), HasSubstr("row: must be a token"));
  options.tokens.keys.pop_back();
  EXPECT_THAT(Render(options), HasSubstr("each of the 3 keys; got 2"));
}

}  // namespace
}  // namespace attn::attnctl
