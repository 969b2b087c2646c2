#include "server/json_text.h"

#include <gtest/gtest.h>

namespace attn {
namespace {

TEST(JsonTextTest, EscapesWhatJsonForbids) {
  EXPECT_EQ(JsonString("a\"b\\c\n\r\t"), R"("a\"b\\c\n\r\t")");
  EXPECT_EQ(JsonString(std::string_view("\0\x1f\x7f", 3)),
            R"("\u0000\u001f\u007f")");
}

TEST(JsonTextTest, KeepsUtf8) {
  EXPECT_EQ(JsonString("\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80"),
            "\"\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80\"");
}

TEST(JsonTextTest, ReplacesBytesThatAreNotUtf8) {
  const std::string replacement = "\xEF\xBF\xBD";
  EXPECT_EQ(JsonString("a\xFFz"), "\"a" + replacement + "z\"");
  EXPECT_EQ(JsonString("\xC3"), "\"" + replacement + "\"");
  // An overlong slash, a surrogate and a number beyond Unicode.
  EXPECT_EQ(JsonString("\xC0\xAF"), "\"" + replacement + replacement + "\"");
  EXPECT_EQ(JsonString("\xED\xA0\x80"),
            "\"" + replacement + replacement + replacement + "\"");
  EXPECT_EQ(
      JsonString("\xF4\x90\x80\x80"),
      "\"" + replacement + replacement + replacement + replacement + "\"");
}

}  // namespace
}  // namespace attn
