// The store between tenants: what one has, no other sees; what one may have, it
// cannot exceed, by forks either.
#include <string>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "core/kv_cache/session_store.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/fake_clock.h"
#include "tests/support/kv_tokens.h"

namespace attn {
namespace {

using std::chrono::minutes;
using test::IdsFrom;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr KvSpec kSpec{.num_layers = 1,
                       .num_kv_heads = 1,
                       .head_dim = 4,
                       .value_head_dim = 4,
                       .kv_dtype = KvDtype::kF32};

class SessionTenantsTest : public testing::Test {
 protected:
  static SessionLimits Limits() {
    SessionLimits limits;
    limits.max_sessions = 5;
    limits.idle_ttl = minutes(10);
    return limits;
  }
  void MustCreate(Tenant& tenant, const std::string& id) {
    const auto session = store_.Create(tenant, id, kSpec);
    EXPECT_TRUE(session.ok()) << session.status();
  }
  absl::Status Append(Tenant& tenant, const std::string& id, int64_t n) {
    const auto session = store_.Use(tenant, id);
    if (!session.ok()) return session.status();
    return test::AppendIds(*(*session)->Lock(0), (*session)->format(),
                           IdsFrom(1, n));
  }
  // What a tenant hears of an id, whichever way it asks.
  void ExpectNotFound(Tenant& tenant, const std::string& id, Reason reason) {
    for (const absl::Status& status :
         {store_.Use(tenant, id).status(), store_.Look(tenant, id).status(),
          store_.Fork(tenant, id, "", {}).status(),
          store_.Delete(tenant, id)}) {
      EXPECT_TRUE(absl::IsNotFound(status)) << status;
      EXPECT_EQ(ReasonOf(status), reason) << status;
    }
  }
  std::vector<std::string> Ids(const Tenant& tenant) {
    std::vector<std::string> ids;
    for (const SessionPtr& session : store_.List(tenant, "", 100)) {
      ids.push_back(session->id());
    }
    return ids;
  }

  static int64_t PageBytes() { return FormatOf(kSpec).page_bytes(); }

  uint64_t bits_ = 0xa;
  Tenant a_{"a", 1, {.max_kv_bytes = 4 * PageBytes(), .max_sessions = 3}};
  Tenant b_{"b", 2, {}};
  PagePool pool_{int64_t{64} << 20};
  FakeClock clock_;
  NullSessionMetrics metrics_;
  SessionStore store_{Limits(),
                      {pool_, clock_, metrics_, [this] { return ++bits_; }}};
};

TEST_F(SessionTenantsTest, AnothersSessionNeverExisted) {
  MustCreate(a_, "s");
  const std::string made = (*store_.Create(a_, "", kSpec))->id();
  ExpectNotFound(b_, "s", Reason::kSessionNeverExisted);
  ExpectNotFound(b_, made, Reason::kSessionNeverExisted);
  EXPECT_THAT(Ids(b_), IsEmpty());
  EXPECT_TRUE(store_.CheckRoom(b_, "s").ok());
  EXPECT_TRUE(store_.Use(a_, "s").ok()) << "nobody else deleted it";
}

TEST_F(SessionTenantsTest, AnothersEndsNeverHappened) {
  MustCreate(a_, "deleted");
  MustCreate(a_, "expired");
  ASSERT_TRUE(store_.Delete(a_, "deleted").ok());
  clock_.Advance(minutes(10));
  store_.Sweep();
  ExpectNotFound(a_, "deleted", Reason::kSessionDeleted);
  ExpectNotFound(a_, "expired", Reason::kSessionExpired);
  ExpectNotFound(b_, "deleted", Reason::kSessionNeverExisted);
  ExpectNotFound(b_, "expired", Reason::kSessionNeverExisted);
  // Nor can they be made up by the form in which they are remembered.
  ExpectNotFound(b_, "1/deleted", Reason::kSessionNeverExisted);
}

TEST_F(SessionTenantsTest, TwoMayUseOneId) {
  MustCreate(a_, "s");
  MustCreate(b_, "s");
  ASSERT_TRUE(Append(a_, "s", 10).ok());
  ASSERT_TRUE(Append(b_, "s", 3).ok());
  EXPECT_EQ((*store_.Look(a_, "s"))->Lock(0)->length(), 10);
  EXPECT_EQ((*store_.Look(b_, "s"))->Lock(0)->length(), 3);
  EXPECT_EQ(&(*store_.Look(b_, "s"))->tenant(), &b_);
  ASSERT_TRUE(store_.Delete(a_, "s").ok());
  EXPECT_EQ((*store_.Look(b_, "s"))->Lock(0)->length(), 3);
}

TEST_F(SessionTenantsTest, ListAndReplaceStayWithinTheTenant) {
  for (const char* id : {"x", "y"}) MustCreate(a_, id);
  for (const char* id : {"w", "y"}) MustCreate(b_, id);
  EXPECT_THAT(Ids(a_), ElementsAre("x", "y"));
  EXPECT_THAT(Ids(b_), ElementsAre("w", "y"));
  const SessionPtr old = *store_.Look(a_, "y");
  ASSERT_TRUE(store_.Replace(*store_.Build(b_, "y", kSpec)).ok());
  EXPECT_EQ(*store_.Look(a_, "y"), old);
  store_.End(*store_.Look(b_, "y"));
  EXPECT_EQ(*store_.Look(a_, "y"), old);
}

TEST_F(SessionTenantsTest, QuotaOfSessionsIsTheTenantsOwn) {
  for (const char* id : {"x", "y", "z"}) MustCreate(a_, id);
  const absl::Status status = store_.Create(a_, "more", kSpec).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ReasonOf(status), Reason::kQuota);
  EXPECT_EQ(status.message(),
            "sessions of tenant a must be at most 3; there are 3 and none is "
            "past its idle_ttl");
  EXPECT_EQ(ReasonOf(store_.Fork(a_, "x", "more", {}).status()),
            Reason::kQuota);
  EXPECT_EQ(ReasonOf(store_.CheckRoom(a_, "more")), Reason::kQuota);
  EXPECT_EQ(ReasonOf(store_.Replace(*store_.Build(a_, "more", kSpec))),
            Reason::kQuota);
  EXPECT_TRUE(store_.Replace(*store_.Build(a_, "x", kSpec)).ok());
  MustCreate(b_, "more");
  ASSERT_TRUE(store_.Delete(a_, "x").ok());
  MustCreate(a_, "more");
  clock_.Advance(minutes(10));
  MustCreate(a_, "late");
  EXPECT_THAT(Ids(a_), ElementsAre("late")) << "idle ones make room";
  EXPECT_EQ(a_.sessions(), 1);
}

TEST_F(SessionTenantsTest, QuotaOfMemoryIsTheTenantsOwn) {
  MustCreate(a_, "s");
  MustCreate(b_, "s");
  ASSERT_TRUE(Append(a_, "s", 4 * kPageTokens).ok());
  const absl::Status status = Append(a_, "s", 1);
  EXPECT_EQ(ReasonOf(status), Reason::kQuota);
  EXPECT_EQ(status.message(),
            "KV memory of tenant a must be at most 8192 bytes; 8192 are in "
            "use, and 2048 more do not fit");
  EXPECT_EQ(a_.kv_bytes(), 4 * PageBytes());
  EXPECT_TRUE(Append(b_, "s", 10 * kPageTokens).ok());
}

TEST_F(SessionTenantsTest, RefusedAppendTakesNothingOfTheQuota) {
  MustCreate(a_, "s");
  EXPECT_EQ(ReasonOf(Append(a_, "s", 5 * kPageTokens)), Reason::kQuota);
  EXPECT_EQ(a_.kv_bytes(), 0);
}

TEST_F(SessionTenantsTest, ForksShareTheirPagesAndPayForWhatTheyChange) {
  MustCreate(a_, "s");
  ASSERT_TRUE(Append(a_, "s", 3 * kPageTokens + 1).ok());
  EXPECT_EQ(a_.kv_bytes(), 4 * PageBytes());
  ASSERT_TRUE(store_.Fork(a_, "s", "f", {}).ok());
  EXPECT_EQ(a_.kv_bytes(), 4 * PageBytes());
  EXPECT_EQ(ReasonOf(Append(a_, "f", 1)), Reason::kQuota)
      << "its own copy of the last page";
  // The pages stay the tenant's when who took them is gone.
  ASSERT_TRUE(store_.Delete(a_, "s").ok());
  EXPECT_EQ(a_.kv_bytes(), 4 * PageBytes());
  EXPECT_TRUE(Append(a_, "f", 1).ok());
  ASSERT_TRUE(store_.Delete(a_, "f").ok());
  EXPECT_EQ(a_.kv_bytes(), 0);
}

TEST_F(SessionTenantsTest, PagesArePaidForAsLongAsSomebodyReadsThem) {
  MustCreate(a_, "s");
  ASSERT_TRUE(Append(a_, "s", 1).ok());
  {
    const KvSnapshot snapshot = (*store_.Use(a_, "s"))->Lock(0)->Snapshot();
    ASSERT_TRUE(store_.Delete(a_, "s").ok());
    EXPECT_EQ(a_.sessions(), 0);
    EXPECT_EQ(a_.kv_bytes(), PageBytes());
  }
  EXPECT_EQ(a_.kv_bytes(), 0);
}

TEST_F(SessionTenantsTest, FullPoolTakesNothingOfTheQuota) {
  PagePool tiny(PageBytes());
  Tenant tenant("t", 1, {.max_kv_bytes = 100 * PageBytes()});
  const auto page = tiny.Allocate(PageBytes(), &tenant);
  ASSERT_TRUE(page.ok());
  EXPECT_EQ(ReasonOf(tiny.Allocate(PageBytes(), &tenant).status()),
            Reason::kKvMemory);
  EXPECT_EQ(tenant.kv_bytes(), PageBytes());
}

}  // namespace
}  // namespace attn
