#include "client/cpp/attnctl/top_view.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace attn::attnctl {
namespace {

using client::DType;
using client::Shape;
using client::Tensor;
using ::testing::HasSubstr;
using ::testing::Not;

Tensor Indices(const std::vector<int32_t>& values, Shape shape) {
  std::string bytes(reinterpret_cast<const char*>(values.data()),
                    values.size() * sizeof(int32_t));
  return Tensor::Own(DType::kI32, std::move(shape), std::move(bytes));
}

// [1, 2, 2, 2]: two heads, the last two of three tokens as rows. Row "the" of
// head 1 sees one key, row "bank" of head 1 none.
client::TopWeights Top() {
  const Shape shape = {1, 2, 2, 2};
  return {Indices({2, 0, 1, 2,  //
                   1, -1, -1, -1},
                  shape),
          Tensor::FromFloats({0.7F, 0.2F, 0.5F, 0.4F,  //
                              1.0F, 0.0F, 0.0F, 0.0F},
                             shape)
              .value()};
}

WeightsViewOptions Named() { return {.tokens = {{"by", "the", "bank"}}}; }

std::string Render(const client::TopWeights& top,
                   const WeightsViewOptions& options) {
  const auto text = RenderTop(top, options);
  return text.ok() ? *text : std::string(text.status().message());
}

TEST(TopViewTest, EachRowListsItsKeysHeadByHead) {
  EXPECT_EQ(Render(Top(), Named()),
            "head 0 (each row's largest weights, percent)\n"
            "the   bank 70.0, by 20.0\n"
            "bank  the 50.0, bank 40.0\n"
            "\n"
            "head 1 (each row's largest weights, percent)\n"
            "the   the 100.0\n"
            "bank  -\n"
            "\n");
}

TEST(TopViewTest, OneHeadCanBeChosen) {
  WeightsViewOptions options = Named();
  options.head = "1";
  EXPECT_THAT(Render(Top(), options), HasSubstr("head 1 "));
  EXPECT_THAT(Render(Top(), options), Not(HasSubstr("head 0 ")));
  options.head = "2";
  EXPECT_EQ(Render(Top(), options),
            "head: must be all or a number below 2; got \"2\"");
}

TEST(TopViewTest, OneRowIsShownForEachHead) {
  WeightsViewOptions options = Named();
  options.row = "the";
  EXPECT_EQ(Render(Top(), options),
            "\"the\" attends most to (percent)\n"
            "head 0  bank 70.0, by 20.0\n"
            "head 1  the 100.0\n");
  options.row = "river";
  EXPECT_THAT(Render(Top(), options), HasSubstr("row: must be a token"));
}

TEST(TopViewTest, WithoutTokensNumbersNameRowsAndKeys) {
  EXPECT_THAT(Render(Top(), {}), HasSubstr("q0  k2 70.0, k0 20.0\n"));
}

TEST(TopViewTest, IndexWithoutATokenIsAnError) {
  WeightsViewOptions options = Named();
  options.tokens.keys.pop_back();
  EXPECT_EQ(Render(Top(), options),
            "tokens: there must be one for each of the 3 keys; got 2");
}

TEST(TopViewTest, EmptyQueryPrintsNoRows) {
  const Shape shape = {1, 1, 0, 2};
  const client::TopWeights top = {Indices({}, shape),
                                  Tensor::Own(DType::kF32, shape, "")};
  EXPECT_EQ(Render(top, {}),
            "head 0 (each row's largest weights, percent)\n\n");
}

TEST(TopViewTest, TensorsOfAnotherFormAreErrors) {
  EXPECT_THAT(Render({}, {}), HasSubstr("[B, heads, q_len, top_k]; got []"));
  client::TopWeights top = Top();
  top.probabilities = Tensor::FromFloats({1}, {1, 1, 1, 1}).value();
  EXPECT_THAT(Render(top, {}), HasSubstr("[1, 2, 2, 2] and [1, 1, 1, 1]"));
  top.probabilities = Top().probabilities;
  top.indices = top.probabilities;
  EXPECT_THAT(Render(top, {}), HasSubstr("i32, i64 or bool; got f32"));
}

}  // namespace
}  // namespace attn::attnctl
