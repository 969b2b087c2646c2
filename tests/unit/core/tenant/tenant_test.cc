#include "core/tenant/tenant.h"

#include <string>

#include "core/base/error.h"
#include "gtest/gtest.h"

namespace attn {
namespace {

TEST(TenantTest, TakesUpToItsBoundAndSaysWhyNoMore) {
  Tenant tenant("a", 1, {.max_kv_bytes = 1000});
  EXPECT_TRUE(tenant.TakeKvBytes(600).ok());
  EXPECT_TRUE(tenant.CheckKvBytes(400).ok());
  EXPECT_TRUE(tenant.TakeKvBytes(400).ok());
  const absl::Status status = tenant.TakeKvBytes(1);
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ReasonOf(status), Reason::kQuota);
  EXPECT_EQ(status.message(),
            "KV memory of tenant a must be at most 1000 bytes; 1000 are in "
            "use, and 1 more do not fit");
  EXPECT_EQ(tenant.CheckKvBytes(1).message(), status.message());
  EXPECT_EQ(tenant.kv_bytes(), 1000) << "a refusal takes nothing";
  tenant.ReturnKvBytes(1000);
  EXPECT_EQ(tenant.kv_bytes(), 0);
  EXPECT_EQ(tenant.usage().refused_kv_pages, 2);
}

TEST(TenantTest, SessionsAreBoundedLikewise) {
  Tenant tenant("a", 1, {.max_sessions = 1});
  EXPECT_TRUE(tenant.CheckSessions().ok());
  tenant.AddSession();
  EXPECT_FALSE(tenant.HasRoomForSession());
  const absl::Status status = tenant.CheckSessions();
  EXPECT_EQ(ReasonOf(status), Reason::kQuota);
  EXPECT_EQ(status.message(),
            "sessions of tenant a must be at most 1; there are 1 and none is "
            "past its idle_ttl");
  tenant.DropSession();
  EXPECT_TRUE(tenant.HasRoomForSession());
  EXPECT_EQ(tenant.usage().refused_sessions, 1);
}

TEST(TenantTest, ZeroIsNoBound) {
  Tenant tenant("", 0, {});
  EXPECT_TRUE(tenant.TakeKvBytes(int64_t{1} << 60).ok());
  for (int i = 0; i < 3; ++i) tenant.AddSession();
  EXPECT_TRUE(tenant.CheckSessions().ok());
  EXPECT_EQ(tenant.sessions(), 3);
}

TEST(TenantDeathTest, GivingBackMoreThanWasTakenEndsTheProcess) {
  Tenant tenant("a", 1, {});
  ASSERT_TRUE(tenant.TakeKvBytes(10).ok());
  EXPECT_DEATH(tenant.ReturnKvBytes(11), "");
  EXPECT_DEATH(tenant.DropSession(), "");
}

}  // namespace
}  // namespace attn
