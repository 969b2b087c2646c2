#include "client/cpp/attnctl/axis_names.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

namespace attn::attnctl {
namespace {

using ::testing::ElementsAre;

TEST(AxisNamesTest, LastTokensNameTheRows) {
  const auto names = NameAxes({{"by", "the", "bank"}}, 2, 3);
  ASSERT_TRUE(names.ok()) << names.status();
  EXPECT_THAT(names->rows, ElementsAre("the", "bank"));
  EXPECT_THAT(names->keys, ElementsAre("by", "the", "bank"));
}

TEST(AxisNamesTest, QueryTokensNameTheRowsOfCrossAttention) {
  const auto names =
      NameAxes({.keys = {"river"}, .queries = {"la", "rive"}}, 2, 1);
  ASSERT_TRUE(names.ok()) << names.status();
  EXPECT_THAT(names->rows, ElementsAre("la", "rive"));
  EXPECT_THAT(names->keys, ElementsAre("river"));
}

TEST(AxisNamesTest, NumbersNameWhatHasNoTokens) {
  const auto names = NameAxes({}, 2, 1);
  EXPECT_THAT(names->rows, ElementsAre("q0", "q1"));
  EXPECT_THAT(names->keys, ElementsAre("k0"));
  EXPECT_THAT(NameAxes({.queries = {"la"}}, 1, 1)->keys, ElementsAre("k0"));
}

TEST(AxisNamesTest, TokensOfAnotherNumberAreRefused) {
  EXPECT_EQ(NameAxes({{"by"}}, 1, 2).status().message(),
            "tokens: there must be one for each of the 2 keys; got 1");
  EXPECT_EQ(NameAxes({{"by"}}, 2, 1).status().message(),
            "tokens: the last of them name the 2 rows, so that there must be "
            "as many, or query-tokens; got 1");
  EXPECT_EQ(NameAxes({.queries = {"la"}}, 2, 1).status().message(),
            "query-tokens: there must be one for each of the 2 rows; got 1");
}

TEST(AxisNamesTest, NamesGoBeforeNumbers) {
  const std::vector<std::string> names = {"1", "the", "the"};
  EXPECT_EQ(FindName("row", "1", names).value(), 0u);
  EXPECT_EQ(FindName("row", "the", names).value(), 1u);
  EXPECT_EQ(FindName("row", "2", names).value(), 2u);
  EXPECT_EQ(FindName("row", "3", names).status().message(),
            "row: must be a token or a number below 3; got \"3\"");
}

TEST(AxisNamesTest, FileHasOneTokenALine) {
  const std::string path = ::testing::TempDir() + "/axis_names_tokens.txt";
  std::ofstream(path) << "by\r\nthe\nbank";
  EXPECT_THAT(ReadTokens(path).value(), ElementsAre("by", "the", "bank"));
  std::ofstream(path) << "";
  EXPECT_EQ(ReadTokens(path).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ReadTokens(path + ".none").status().code(),
            absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace attn::attnctl
