#include "core/tenant/tenant_table.h"

#include <set>
#include <string>
#include <thread>
#include <vector>

#include "core/base/error.h"
#include "gtest/gtest.h"

namespace attn {
namespace {

TEST(TenantTableTest, NamedTenantsHaveTheirLimitsAndOthersTheDefaults) {
  TenantTable table({.max_sessions = 3}, {{"a", {.max_sessions = 7}}});
  EXPECT_EQ((*table.Find("a"))->limits().max_sessions, 7);
  EXPECT_EQ((*table.Find("b"))->limits().max_sessions, 3);
  EXPECT_EQ((*table.Find("b"))->name(), "b");
  EXPECT_EQ(*table.Find("b"), *table.Find("b"));
  EXPECT_NE(*table.Find("a"), *table.Find("b"));
}

TEST(TenantTableTest, CallsWithoutANameAreEverybodysAndUnbounded) {
  TenantTable table({.max_kv_bytes = 1, .max_sessions = 1, .queue_share = 0.5},
                    {});
  EXPECT_EQ(*table.Find(""), &table.everybody());
  EXPECT_EQ(table.everybody().limits(), TenantLimits());
  EXPECT_EQ(table.everybody().number(), 0);
}

TEST(TenantTableTest, NumbersAreSmallAndTheirOwn) {
  TenantTable table({}, {{"a", {}}, {"b", {}}});
  std::set<int64_t> numbers{0};
  for (const char* name : {"d", "b", "a", "c"}) {
    numbers.insert((*table.Find(name))->number());
  }
  EXPECT_EQ(numbers, (std::set<int64_t>{0, 1, 2, 3, 4}));
}

TEST(TenantTableTest, ThereIsABoundForNewOnesAlone) {
  TenantTable table({}, {{"a", {}}});
  for (int64_t i = 2; i < TenantTable::kMaxTenants; ++i) {
    ASSERT_TRUE(table.Find("t" + std::to_string(i)).ok()) << i;
  }
  const absl::Status status = table.Find("one more").status();
  EXPECT_EQ(ReasonOf(status), Reason::kQuota);
  EXPECT_EQ(status.message(),
            "tenants must be at most 4096; there are as many, and the caller "
            "is a new one");
  EXPECT_TRUE(table.Find("a").ok());
  EXPECT_TRUE(table.Find("t4095").ok());
}

TEST(TenantTableTest, UsageNamesThoseThatTheOperatorNamed) {
  TenantTable table({}, {{"b", {}}, {"a", {}}});
  (*table.Find("a"))->AddSession();
  (*table.Find("x"))->AddSession();
  (*table.Find("y"))->AddSession();
  table.everybody().AddSession();
  const auto lines = table.Usage();
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[0].name, "b");
  EXPECT_EQ(lines[0].usage.sessions, 0);
  EXPECT_EQ(lines[1].name, "a");
  EXPECT_EQ(lines[1].usage.sessions, 1);
  EXPECT_EQ(lines[2].name, "other");
  EXPECT_EQ(lines[2].usage.sessions, 3);
}

TEST(TenantTableTest, ManyThreadsMakeATenantOnce) {
  TenantTable table({}, {});
  std::vector<Tenant*> found(8);
  std::vector<std::thread> threads;
  for (Tenant*& tenant : found) {
    threads.emplace_back([&] { tenant = *table.Find("a"); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(std::set<Tenant*>(found.begin(), found.end()).size(), 1u);
}

}  // namespace
}  // namespace attn
