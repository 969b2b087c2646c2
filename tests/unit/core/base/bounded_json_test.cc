#include "core/base/bounded_json.h"

#include <chrono>
#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace attn {
namespace {

std::string Nested(int depth) {
  return std::string(static_cast<size_t>(depth), '[') +
         std::string(static_cast<size_t>(depth), ']');
}

TEST(BoundedJsonTest, AValueIsWhatTheLibraryMakesOfIt) {
  const std::string text =
      R"({"a": [1, -2, 3.5, true, null], "b": {"c": "d"}})";
  EXPECT_EQ(ParseBoundedJson(text, {.max_depth = 2}).value,
            nlohmann::json::parse(text));
}

TEST(BoundedJsonTest, RefusesWhatIsNoJson) {
  for (const char* text :
       {"", "{", "{]", "nul", "{\"a\" 1}", "1 2", "\"\xff\""}) {
    EXPECT_TRUE(ParseBoundedJson(text, {.max_depth = 9}).value.is_discarded())
        << text;
  }
}

TEST(BoundedJsonTest, RefusesWhatIsTooDeep) {
  EXPECT_FALSE(
      ParseBoundedJson(Nested(3), {.max_depth = 3}).value.is_discarded());
  EXPECT_TRUE(
      ParseBoundedJson(Nested(4), {.max_depth = 3}).value.is_discarded());
  EXPECT_TRUE(ParseBoundedJson(R"({"a": {"b": [{}]}})", {.max_depth = 3})
                  .value.is_discarded());
  // No call of its own for each of them.
  EXPECT_TRUE(ParseBoundedJson(std::string(10'000'000, '['), {.max_depth = 3})
                  .value.is_discarded());
}

TEST(BoundedJsonTest, RefusesANameTwiceInOneObjectIfAsked) {
  const std::string text = R"({"a": {"x": 1, "y": 2, "x": 3}})";
  const BoundedJson refused =
      ParseBoundedJson(text, {.max_depth = 3, .has_names_once = true});
  EXPECT_TRUE(refused.value.is_discarded());
  EXPECT_EQ(refused.twice, "x");
  EXPECT_EQ(ParseBoundedJson(text, {.max_depth = 3}).value["a"]["x"], 3);
}

TEST(BoundedJsonTest, ANameMayBeInSeveralObjects) {
  const BoundedJson json =
      ParseBoundedJson(R"({"x": {"x": 1}, "y": {"x": 2}})",
                       {.max_depth = 3, .has_names_once = true});
  EXPECT_FALSE(json.value.is_discarded());
  EXPECT_EQ(json.twice, std::nullopt);
}

// Clients send headers of snapshots. The library's callbacks take 4 s for
// 20,000 objects, and time with the square of them.
TEST(BoundedJsonTest, ManyObjectsTakeNoTimeToSpeakOf) {
  std::string text = "{\"a\":1";
  for (int i = 0; i < 150'000; ++i) absl::StrAppend(&text, ",\"", i, "\":{}");
  text += "}";
  const auto start = std::chrono::steady_clock::now();
  const BoundedJson json =
      ParseBoundedJson(text, {.max_depth = 3, .has_names_once = true});
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
  EXPECT_EQ(json.value.size(), 150'001u);
}

}  // namespace
}  // namespace attn
