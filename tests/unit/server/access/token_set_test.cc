#include "server/access/token_set.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace attn {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr char kToken[] = "zQ4-long-enough-to-be-a-token";
// printf %s zQ4-long-enough-to-be-a-token | sha256sum
constexpr char kDigest[] =
    "sha256:"
    "a4a264d98e787bf5200a98f3c6b45227a6af7f3c6eefad6690d4cac41fe4a80a";

const TokenOwner* Find(const TokenSet& set, std::string_view token) {
  return set.Find(token);
}

std::string ErrorOf(std::string_view text) {
  const auto set = TokenSet::Parse(text);
  return set.ok() ? "" : std::string(set.status().message());
}

TEST(TokenSetTest, KnowsTokensAndDigestsOfThem) {
  const auto set = TokenSet::Parse(
      "# who\n\n  search  aaaaaaaaaaaaaaaa\r\nranking bbbbbbbbbbbbbbbb client\n"
      "prometheus\tcccccccccccccccc  monitor");
  ASSERT_TRUE(set.ok()) << set.status();
  EXPECT_EQ(set->size(), 3U);
  ASSERT_NE(Find(*set, "aaaaaaaaaaaaaaaa"), nullptr);
  EXPECT_EQ(Find(*set, "aaaaaaaaaaaaaaaa")->tenant, "search");
  EXPECT_EQ(Find(*set, "aaaaaaaaaaaaaaaa")->role, Role::kClient);
  EXPECT_EQ(Find(*set, "bbbbbbbbbbbbbbbb")->tenant, "ranking");
  EXPECT_EQ(Find(*set, "cccccccccccccccc")->role, Role::kMonitor);
}

TEST(TokenSetTest, FindsATokenByItsDigest) {
  const auto set = TokenSet::Parse(std::string("search ") + kDigest);
  ASSERT_TRUE(set.ok()) << set.status();
  ASSERT_NE(Find(*set, kToken), nullptr);
  EXPECT_EQ(Find(*set, kToken)->tenant, "search");
}

TEST(TokenSetTest, OneTenantMayHaveSeveralTokens) {
  const auto set = TokenSet::Parse("a aaaaaaaaaaaaaaaa\na bbbbbbbbbbbbbbbb");
  ASSERT_TRUE(set.ok()) << set.status();
  EXPECT_EQ(Find(*set, "aaaaaaaaaaaaaaaa")->tenant, "a");
  EXPECT_EQ(Find(*set, "bbbbbbbbbbbbbbbb")->tenant, "a");
}

TEST(TokenSetTest, FindsNothingElse) {
  const auto set =
      TokenSet::Parse(std::string("a aaaaaaaaaaaaaaaa\nb ") + kDigest);
  ASSERT_TRUE(set.ok()) << set.status();
  for (const char* token : {"", "aaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaaaa", "a",
                            "AAAAAAAAAAAAAAAA", kDigest, kDigest + 7}) {
    EXPECT_EQ(Find(*set, token), nullptr) << token;
  }
}

TEST(TokenSetTest, NamesTheLineThatBreaksARule) {
  EXPECT_EQ(ErrorOf("# only\n\na"),
            "line 3: must be a tenant, a token and perhaps a role");
  EXPECT_EQ(ErrorOf("a aaaaaaaaaaaaaaaa client more"),
            "line 1: must be a tenant, a token and perhaps a role");
  EXPECT_EQ(ErrorOf("a aaaaaaaaaaaaaaaa\nb bbbbbbbbbbbbbbbb admin"),
            "line 2: the role must be client or monitor");
  EXPECT_EQ(ErrorOf("a\"b aaaaaaaaaaaaaaaa"),
            "line 1: a tenant must be 1 to 128 of A-Z a-z 0-9 . _ : / @ -");
  // A certificate is no file of tokens, though its words look like one's.
  EXPECT_EQ(ErrorOf("-----BEGIN CERTIFICATE-----"),
            "line 1: a tenant must be 1 to 128 of A-Z a-z 0-9 . _ : / @ -");
  EXPECT_EQ(ErrorOf("a sha256:12"),
            "line 1: sha256: must be followed by 64 hexadecimal digits");
  EXPECT_EQ(ErrorOf("a aaaaaaaaaaaaaaaa\n\nb aaaaaaaaaaaaaaaa"),
            "line 3: a token must be given once; line 1 has it too");
}

TEST(TokenSetTest, NeverShowsATokenInAnError) {
  for (const char* token : {"secret", "secret,secret,secret"}) {
    EXPECT_THAT(
        ErrorOf(std::string("a ") + token),
        AllOf(HasSubstr("16 to 4096 letters"), Not(HasSubstr("secret"))))
        << token;
  }
  EXPECT_THAT(ErrorOf("a sha256:secretsecretsecret"), Not(HasSubstr("secret")));
}

TEST(TokenSetTest, RefusesATextThatWouldLockEverybodyOut) {
  EXPECT_EQ(ErrorOf(""), "must have a token at least");
  EXPECT_EQ(ErrorOf("# a aaaaaaaaaaaaaaaa\n"), "must have a token at least");
}

TEST(TokenSetTest, RefusesMoreThanItLooksUpQuickly) {
  std::string text;
  for (int i = 1000; i < 1000 + 1024; ++i) {
    text += "a aaaaaaaaaaaa" + std::to_string(i) + "\n";
  }
  EXPECT_EQ(ErrorOf(text), "");
  EXPECT_EQ(ErrorOf(text + "b bbbbbbbbbbbbbbbb"),
            "line 1025: there must be at most 1024 tokens");
}

}  // namespace
}  // namespace attn
