#include "server/tenant_file.h"

#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace attn {
namespace {

constexpr TenantLimits kDefaults{
    .max_kv_bytes = 100, .max_sessions = 10, .queue_share = 0.5};

TEST(TenantFileTest, LineSaysWhatDiffersFromTheDefaults) {
  const auto tenants = ParseTenants(
      "# who may have how much\n"
      "\n"
      "search weight=4\tkv-memory=8GiB  queue-share=75%\r\n"
      "  nightly   max-sessions=off queue-share=off\n"
      "spiffe://prod/ranker\n",
      kDefaults);
  ASSERT_TRUE(tenants.ok()) << tenants.status();
  ASSERT_EQ(tenants->size(), 3u);
  EXPECT_EQ((*tenants)[0].name, "search");
  EXPECT_EQ((*tenants)[0].limits,
            (TenantLimits{.max_kv_bytes = int64_t{8} << 30,
                          .max_sessions = 10,
                          .queue_share = 0.75,
                          .weight = 4}));
  EXPECT_EQ((*tenants)[1].name, "nightly");
  EXPECT_EQ((*tenants)[1].limits, (TenantLimits{.max_kv_bytes = 100}));
  EXPECT_EQ((*tenants)[2].name, "spiffe://prod/ranker");
  EXPECT_EQ((*tenants)[2].limits, kDefaults);
}

TEST(TenantFileTest, NobodyIsNamedByAnEmptyText) {
  const auto tenants = ParseTenants("# nobody yet\n", kDefaults);
  ASSERT_TRUE(tenants.ok()) << tenants.status();
  EXPECT_TRUE(tenants->empty());
}

TEST(TenantFileTest, WhatBreaksARuleIsToldWithItsLine) {
  const std::vector<std::pair<std::string, std::string>> cases{
      {"a\nb\n\na", "line 4: a tenant must be given once; got \"a\" again"},
      {"other",
       "line 1: a tenant must be 1 to 128 of A-Z a-z 0-9 . _ : / @ - and not "
       "\"other\"; got \"other\""},
      {"weight=2 a",
       "line 1: a tenant must be 1 to 128 of A-Z a-z 0-9 . _ : / @ - and not "
       "\"other\"; got \"weight=2\""},
      {"a weight",
       "line 1: must be weight=, kv-memory=, max-sessions= or "
       "queue-share= after the tenant; got \"weight\""},
      {"a gpu=1",
       "line 1: must be weight=, kv-memory=, max-sessions= or "
       "queue-share= after the tenant; got \"gpu=1\""},
      {"\na weight=1 weight=2", "line 2: weight must be given once"},
      {"a weight=0", "line 1: weight must be from 1 to 1000; got \"0\""},
      {"a kv-memory=-1",
       "line 1: kv-memory must be a whole number of bytes, bare or with KiB, "
       "MiB or GiB; got \"-1\""},
      {"a max-sessions=many",
       "line 1: max-sessions must be a whole number; got \"many\""},
      {"a queue-share=101%",
       "line 1: queue-share must be from 1% to 100%, or off; got \"101%\""},
      {"a weight=", "line 1: weight must be a whole number; got \"\""}};
  for (const auto& [text, message] : cases) {
    const auto tenants = ParseTenants(text, kDefaults);
    EXPECT_TRUE(absl::IsInvalidArgument(tenants.status())) << text;
    EXPECT_EQ(tenants.status().message(), message);
  }
}

TEST(TenantFileTest, ThousandTenantsAreTheMost) {
  std::string text;
  for (int i = 0; i < 1000; ++i) text += "t" + std::to_string(i) + "\n";
  EXPECT_TRUE(ParseTenants(text, kDefaults).ok());
  EXPECT_EQ(ParseTenants(text + "more", kDefaults).status().message(),
            "line 1001: there must be at most 1000 tenants");
}

TEST(TenantFileTest, ErrorsOfAFileNameIt) {
  EXPECT_TRUE(
      absl::IsNotFound(ReadTenants("/nowhere/at/all", kDefaults).status()));
  const std::string path = testing::TempDir() + "/tenant_file_test.txt";
  std::ofstream(path) << "a weight=2\n";
  EXPECT_EQ(ReadTenants(path, kDefaults)->front().limits.weight, 2);
  std::ofstream(path) << "a weight=x\n";
  EXPECT_EQ(ReadTenants(path, kDefaults).status().message(),
            path + " line 1: weight must be a whole number; got \"x\"");
}

}  // namespace
}  // namespace attn
