#include "server/access/access.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace attn {
namespace {

using absl::StatusCode;
using testing::HasSubstr;
using testing::Not;

constexpr char kClient[] = "Bearer cccccccccccccccc";
constexpr char kMonitor[] = "Bearer mmmmmmmmmmmmmmmm";

class AccessTest : public testing::Test {
 protected:
  void SetUp() override {
    path_ = testing::TempDir() + "access_test_" + std::to_string(getpid());
    std::ofstream(path_) << "search cccccccccccccccc\n"
                            "prometheus mmmmmmmmmmmmmmmm monitor\n";
    auto tokens = ReloadedFiles<TokenSet>::Open(
        {path_}, [](const auto& texts) { return TokenSet::Parse(texts[0]); });
    ASSERT_TRUE(tokens.ok()) << tokens.status();
    tokens_ = *std::move(tokens);
  }
  void TearDown() override { std::filesystem::remove(path_); }

  std::string path_;
  std::unique_ptr<ReloadedFiles<TokenSet>> tokens_;
};

StatusCode CodeOf(const Access& access, const Credentials& credentials,
                  Role needed = Role::kClient) {
  return access.Admit(credentials, needed).status().code();
}

TEST_F(AccessTest, EverybodyIsOneTenantWhereNothingIsAsked) {
  const Access access(nullptr, /*asks_certificate=*/false);
  const auto caller = access.Admit({}, Role::kClient);
  ASSERT_TRUE(caller.ok()) << caller.status();
  EXPECT_EQ(caller->tenant, "");
  EXPECT_EQ(access.Admit({.authorization = {kClient}}, Role::kClient)->tenant,
            "");
}

TEST_F(AccessTest, ATokenNamesItsTenant) {
  const Access access(tokens_.get(), /*asks_certificate=*/false);
  EXPECT_EQ(access.Admit({.authorization = {kClient}}, Role::kClient)->tenant,
            "search");
  EXPECT_EQ(
      access
          .Admit({.authorization = {"bEARER cccccccccccccccc"}}, Role::kClient)
          ->tenant,
      "search");
}

TEST_F(AccessTest, WithoutAKnownTokenNobodyIsLetIn) {
  const Access access(tokens_.get(), /*asks_certificate=*/false);
  for (const char* value :
       {"", "Bearer", "Bearer ", "Bearer dddddddddddddddd", "cccccccccccccccc",
        "Basic cccccccccccccccc", "Bearer cccccccccccccccc ",
        "Bearer  cccccccccccccccc", "Bearer ccccccccccccccc"}) {
    EXPECT_EQ(CodeOf(access, {.authorization = {value}}),
              StatusCode::kUnauthenticated)
        << value;
  }
  EXPECT_EQ(CodeOf(access, {}), StatusCode::kUnauthenticated);
  EXPECT_EQ(CodeOf(access, {.authorization = {kClient, kClient}}),
            StatusCode::kUnauthenticated);
}

TEST_F(AccessTest, AMonitorsTokenIsForMonitoringAlone) {
  const Access access(tokens_.get(), /*asks_certificate=*/false);
  EXPECT_EQ(CodeOf(access, {.authorization = {kMonitor}}),
            StatusCode::kPermissionDenied);
  EXPECT_EQ(CodeOf(access, {.authorization = {kMonitor}}, Role::kMonitor),
            StatusCode::kOk);
  EXPECT_EQ(CodeOf(access, {.authorization = {kClient}}, Role::kMonitor),
            StatusCode::kOk);
}

TEST_F(AccessTest, ACertificateNamesTheTenantWhereNoTokenDoes) {
  const Access access(nullptr, /*asks_certificate=*/true);
  EXPECT_EQ(access
                .Admit({.certificate_holder = "spiffe://corp/ns/search"},
                       Role::kClient)
                ->tenant,
            "spiffe://corp/ns/search");
  EXPECT_EQ(CodeOf(access, {}), StatusCode::kUnauthenticated);
  EXPECT_EQ(CodeOf(access, {.authorization = {kClient}}, Role::kMonitor),
            StatusCode::kUnauthenticated);
  EXPECT_EQ(CodeOf(access, {.certificate_holder = "a b"}),
            StatusCode::kUnauthenticated);
  EXPECT_EQ(CodeOf(access, {.certificate_holder = std::string(129, 'a')}),
            StatusCode::kUnauthenticated);
}

TEST_F(AccessTest, BesideTokensACertificateIsOnlyTheDoor) {
  const Access access(tokens_.get(), /*asks_certificate=*/true);
  EXPECT_EQ(CodeOf(access, {.certificate_holder = "ranking"}),
            StatusCode::kUnauthenticated);
  EXPECT_EQ(
      access
          .Admit({.authorization = {kClient}, .certificate_holder = "ranking"},
                 Role::kClient)
          ->tenant,
      "search");
}

TEST_F(AccessTest, TakesAwayATokenThatIsGoneFromTheFile) {
  const Access access(tokens_.get(), /*asks_certificate=*/false);
  std::ofstream(path_) << "search dddddddddddddddd\n";
  EXPECT_EQ(CodeOf(access, {.authorization = {kClient}}), StatusCode::kOk);
  ASSERT_TRUE(tokens_->Reload().ok());
  EXPECT_EQ(CodeOf(access, {.authorization = {kClient}}),
            StatusCode::kUnauthenticated);
}

TEST_F(AccessTest, NoErrorShowsAToken) {
  const Access access(tokens_.get(), /*asks_certificate=*/false);
  for (const char* value :
       {"Bearer secretsecretsecret", "secretsecretsecret"}) {
    EXPECT_THAT(access.Admit({.authorization = {value}}, Role::kClient)
                    .status()
                    .ToString(),
                Not(HasSubstr("secret")));
  }
}

}  // namespace
}  // namespace attn
