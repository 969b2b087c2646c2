#include "core/kv_cache/session_store.h"

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/fake_clock.h"
#include "tests/support/kv_tokens.h"
#include "tests/support/recording_session_metrics.h"

namespace attn {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;
using test::IdsFrom;
using testing::ElementsAre;
using testing::StartsWith;

class SessionStoreTest : public testing::Test {
 protected:
  SessionStoreTest()
      : store_(Limits(),
               {pool_, clock_, metrics_, [this] { return ++bits_; }}) {}

  static SessionLimits Limits() {
    SessionLimits limits;
    limits.max_sessions = 3;
    limits.idle_ttl = minutes(10);
    return limits;
  }
  static KvSpec Spec(std::optional<Duration> idle_ttl = std::nullopt) {
    return {.num_layers = 2,
            .num_kv_heads = 1,
            .head_dim = 4,
            .idle_ttl = idle_ttl};
  }
  void MustCreate(const std::string& id,
                  std::optional<Duration> idle_ttl = std::nullopt) {
    const auto session = store_.Create(tenant_, id, Spec(idle_ttl));
    EXPECT_TRUE(session.ok()) << session.status();
  }
  void Append(const std::string& id, int64_t layer, int64_t n) {
    const auto session = store_.Use(tenant_, id);
    ASSERT_TRUE(session.ok()) << session.status();
    ASSERT_TRUE(test::AppendIds(*(*session)->Lock(layer), (*session)->format(),
                                IdsFrom(1, n))
                    .ok());
  }
  Reason WhyNot(const std::string& id) {
    const absl::Status status = store_.Look(tenant_, id).status();
    EXPECT_TRUE(status.ok() || absl::IsNotFound(status)) << status;
    return ReasonOf(status);
  }
  std::vector<std::string> Ids(const std::string& after = "",
                               int64_t page_size = 100) {
    std::vector<std::string> ids;
    for (const SessionPtr& session : store_.List(tenant_, after, page_size)) {
      ids.push_back(session->id());
    }
    return ids;
  }

  uint64_t bits_ = 0xa;
  Tenant tenant_{"", 0, {}};
  PagePool pool_{int64_t{64} << 20};
  FakeClock clock_;
  test::RecordingSessionMetrics metrics_;
  SessionStore store_;
};

TEST_F(SessionStoreTest, CreatedSessionIsFoundWithItsResolvedSpec) {
  MustCreate("a");
  const auto session = store_.Use(tenant_, "a");
  ASSERT_TRUE(session.ok()) << session.status();
  EXPECT_EQ((*session)->id(), "a");
  EXPECT_EQ((*session)->spec().idle_ttl, minutes(10));
  EXPECT_EQ((*session)->created_at(), clock_.Now());
  EXPECT_EQ(store_.size(), 1);
}

TEST_F(SessionStoreTest, EmptyIdIsMadeByTheServer) {
  const auto first = store_.Create(tenant_, "", Spec());
  const auto second = store_.Create(tenant_, "", Spec());
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_EQ((*first)->id(), "0000000b-000000000000000c000000000000000d");
  EXPECT_THAT((*second)->id(), StartsWith("0000000b-"));
  EXPECT_EQ(store_.size(), 2);
}

TEST_F(SessionStoreTest, BadIdOrSpecMakesNothing) {
  EXPECT_EQ(FieldOf(store_.Create(tenant_, "a b", Spec()).status()),
            "session_id");
  EXPECT_EQ(FieldOf(store_.Create(tenant_, "a", {}).status()),
            "spec.num_layers");
  MustCreate("a");
  EXPECT_EQ(FieldOf(store_.Fork(tenant_, "a", "a b", {}).status()),
            "session_id");
  EXPECT_EQ(store_.size(), 1);
}

TEST_F(SessionStoreTest, LivingIdExistsAlready) {
  MustCreate("a");
  const absl::Status status = store_.Create(tenant_, "a", Spec()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(ReasonOf(status), Reason::kSessionExists);
  EXPECT_EQ(status.message(), "session_id a exists already");
  EXPECT_EQ(ReasonOf(store_.Fork(tenant_, "a", "a", {}).status()),
            Reason::kSessionExists);
}

TEST_F(SessionStoreTest, EveryUnknownIdHasItsReason) {
  const std::string other_boot = "00000001-" + std::string(32, '0');
  const std::string this_boot = "0000000b-" + std::string(32, '0');
  EXPECT_EQ(WhyNot("a"), Reason::kSessionNeverExisted);
  EXPECT_EQ(WhyNot(this_boot), Reason::kSessionNeverExisted);
  EXPECT_EQ(WhyNot(other_boot), Reason::kServerRestarted);
  MustCreate("a", seconds(1));
  MustCreate("b");
  ASSERT_TRUE(store_.Delete(tenant_, "b").ok());
  clock_.Advance(seconds(1));
  EXPECT_EQ(WhyNot("a"), Reason::kSessionExpired);
  EXPECT_EQ(WhyNot("b"), Reason::kSessionDeleted);
  EXPECT_EQ(store_.Use(tenant_, "a").status().message(),
            "session_id a was idle for too long");
  EXPECT_EQ(store_.Delete(tenant_, "b").message(), "session_id b was deleted");
  EXPECT_EQ(store_.Fork(tenant_, "x", "y", {}).status().message(),
            "session_id x names no session");
  EXPECT_EQ(store_.Use(tenant_, other_boot).status().message(),
            "session_id " + other_boot + " was lost when the server restarted");
  EXPECT_EQ(store_.Use(tenant_, "no\nid").status().message(),
            "session_id names no session");
}

TEST_F(SessionStoreTest, ReasonIsForgottenAfterAnHour) {
  MustCreate("a");
  ASSERT_TRUE(store_.Delete(tenant_, "a").ok());
  clock_.Advance(minutes(60));
  EXPECT_EQ(WhyNot("a"), Reason::kSessionNeverExisted);
}

TEST_F(SessionStoreTest, EndedIdCanBeUsedAgain) {
  MustCreate("a");
  ASSERT_TRUE(store_.Delete(tenant_, "a").ok());
  MustCreate("a", seconds(1));
  EXPECT_TRUE(store_.Look(tenant_, "a").ok());
  clock_.Advance(seconds(1));
  MustCreate("a");
  EXPECT_TRUE(store_.Look(tenant_, "a").ok());
  EXPECT_EQ(metrics_.closed(SessionEnd::kExpired), 1);
}

TEST_F(SessionStoreTest, UseProlongsLifeButLookAndListDoNot) {
  for (const char* id : {"used", "looked", "listed"}) MustCreate(id);
  for (int i = 0; i < 3; ++i) {
    clock_.Advance(minutes(4));
    EXPECT_TRUE(store_.Use(tenant_, "used").ok());
    if (i < 2) {
      EXPECT_TRUE(store_.Look(tenant_, "looked").ok());
      EXPECT_EQ(Ids().size(), 3u);
    }
  }
  EXPECT_THAT(Ids(), ElementsAre("used"));
  EXPECT_EQ(WhyNot("looked"), Reason::kSessionExpired);
}

TEST_F(SessionStoreTest, SessionInFlightDoesNotExpire) {
  MustCreate("a");
  {
    const auto in_flight = store_.Use(tenant_, "a");
    clock_.Advance(minutes(20));
    store_.Sweep();
    EXPECT_TRUE(store_.Look(tenant_, "a").ok());
  }
  store_.Sweep();
  EXPECT_EQ(WhyNot("a"), Reason::kSessionExpired);
}

TEST_F(SessionStoreTest, DeletedSessionLivesOnForACallInFlight) {
  MustCreate("a");
  Append("a", 0, 10);
  auto in_flight = store_.Use(tenant_, "a");
  ASSERT_TRUE(store_.Delete(tenant_, "a").ok());
  EXPECT_EQ((*in_flight)->Lock(0)->length(), 10);
  EXPECT_GT(pool_.used_bytes(), 0);
  in_flight = absl::CancelledError();
  EXPECT_EQ(pool_.used_bytes(), 0);
}

TEST_F(SessionStoreTest, SweepFreesWhatIsPastItsTime) {
  MustCreate("short", minutes(1));
  MustCreate("long");
  Append("short", 0, 100);
  clock_.Advance(minutes(1));
  EXPECT_EQ(store_.size(), 2);
  store_.Sweep();
  EXPECT_EQ(store_.size(), 1);
  EXPECT_EQ(pool_.used_bytes(), 0);
  EXPECT_EQ(metrics_.closed(SessionEnd::kExpired), 1);
}

TEST_F(SessionStoreTest, SweepFindsASessionThatWasProlongedBefore) {
  MustCreate("a");
  clock_.Advance(minutes(9));
  EXPECT_TRUE(store_.Use(tenant_, "a").ok());
  clock_.Advance(minutes(9));
  store_.Sweep();
  EXPECT_EQ(store_.size(), 1);
  clock_.Advance(minutes(1));
  store_.Sweep();
  EXPECT_EQ(store_.size(), 0);
}

TEST_F(SessionStoreTest, FullStoreRefusesInsteadOfEvicting) {
  for (const char* id : {"a", "b", "c"}) MustCreate(id);
  const absl::Status status = store_.Create(tenant_, "d", Spec()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ReasonOf(status), Reason::kQuota);
  EXPECT_EQ(status.message(),
            "sessions must be at most 3; there are 3 and none is past its "
            "idle_ttl");
  EXPECT_EQ(ReasonOf(store_.Fork(tenant_, "a", "d", {}).status()),
            Reason::kQuota);
  EXPECT_THAT(Ids(), ElementsAre("a", "b", "c"));
}

TEST_F(SessionStoreTest, AdoptedSessionIsAsOneThatWasCreated) {
  const auto built = [this](const std::string& id) {
    return std::make_shared<Session>(Session::Name{tenant_, id},
                                     *ResolveSpec(Spec(), Limits()), pool_,
                                     clock_.Now());
  };
  EXPECT_TRUE(store_.CheckRoom(tenant_, "a").ok());
  ASSERT_TRUE(store_.Adopt(built("a")).ok());
  EXPECT_THAT(Ids(), ElementsAre("a"));
  EXPECT_EQ(ReasonOf(store_.CheckRoom(tenant_, "a")), Reason::kSessionExists);
  EXPECT_EQ(ReasonOf(store_.Adopt(built("a")).status()),
            Reason::kSessionExists);
  clock_.Advance(minutes(10));
  EXPECT_TRUE(store_.CheckRoom(tenant_, "a").ok()) << "it has expired";
  for (const char* id : {"a", "b", "c"}) MustCreate(id);
  EXPECT_EQ(ReasonOf(store_.CheckRoom(tenant_, "d")), Reason::kQuota);
  EXPECT_EQ(ReasonOf(store_.Adopt(built("d")).status()), Reason::kQuota);
  EXPECT_THAT(Ids(), ElementsAre("a", "b", "c"));
}

TEST_F(SessionStoreTest, BuiltSessionIsFoundOnceItReplaces) {
  MustCreate("s");
  const auto old = store_.Look(tenant_, "s");
  const auto built = store_.Build(tenant_, "s", Spec());
  ASSERT_TRUE(built.ok()) << built.status();
  EXPECT_EQ(*store_.Look(tenant_, "s"), *old) << "until then the old one lives";
  ASSERT_TRUE(store_.Replace(*built).ok());
  EXPECT_EQ(*store_.Look(tenant_, "s"), *built);
  EXPECT_EQ(metrics_.closed(SessionEnd::kDeleted), 1);
  EXPECT_THAT(Ids(), ElementsAre("s"));
}

TEST_F(SessionStoreTest, ReplacingNothingNeedsRoom) {
  for (const char* id : {"a", "b", "c"}) MustCreate(id);
  ASSERT_TRUE(store_.Replace(*store_.Build(tenant_, "c", Spec())).ok());
  EXPECT_EQ(ReasonOf(store_.Replace(*store_.Build(tenant_, "d", Spec()))),
            Reason::kQuota);
  EXPECT_EQ(WhyNot("d"), Reason::kSessionNeverExisted);
}

TEST_F(SessionStoreTest, EndMeansThisVerySession) {
  MustCreate("s");
  const SessionPtr old = *store_.Look(tenant_, "s");
  ASSERT_TRUE(store_.Replace(*store_.Build(tenant_, "s", Spec())).ok());
  store_.End(old);
  const auto living = store_.Look(tenant_, "s");
  ASSERT_TRUE(living.ok()) << "its successor lives on";
  store_.End(*living);
  EXPECT_EQ(WhyNot("s"), Reason::kSessionDeleted);
  store_.End(*living);
  EXPECT_EQ(metrics_.closed(SessionEnd::kDeleted), 2);
}

TEST_F(SessionStoreTest, FullStoreFreesWhatIsPastItsTimeFirst) {
  MustCreate("a");
  MustCreate("b", minutes(1));
  MustCreate("c");
  clock_.Advance(minutes(1));
  MustCreate("d");
  EXPECT_THAT(Ids(), ElementsAre("a", "c", "d"));
}

TEST_F(SessionStoreTest, ListGoesInPagesByOrderOfIds) {
  for (const char* id : {"c", "a", "b"}) MustCreate(id);
  EXPECT_THAT(Ids("", 2), ElementsAre("a", "b"));
  EXPECT_THAT(Ids("b", 2), ElementsAre("c"));
  EXPECT_THAT(Ids("aa", 1), ElementsAre("b"));
  EXPECT_THAT(Ids("", 0), ElementsAre());
}

TEST_F(SessionStoreTest, ForkIsASessionOfItsOwn) {
  MustCreate("a");
  Append("a", 0, 100);
  Append("a", 1, 70);
  const auto fork = store_.Fork(tenant_, "a", "b", std::nullopt);
  ASSERT_TRUE(fork.ok()) << fork.status();
  EXPECT_THAT((*fork)->MeasureUsage().layer_lengths, ElementsAre(100, 70));
  EXPECT_EQ((*fork)->spec(), (*store_.Use(tenant_, "a"))->spec());
  ASSERT_TRUE(store_.Delete(tenant_, "a").ok());
  EXPECT_EQ(pool_.shared_bytes(), 0);
  const KvSnapshot snapshot = (*store_.Use(tenant_, "b"))->Lock(0)->Snapshot();
  EXPECT_EQ(test::CompareWithIds(snapshot, IdsFrom(1, 100)), "");
}

TEST_F(SessionStoreTest, ForkAtALengthCutsEveryLayerOrFails) {
  MustCreate("a");
  Append("a", 0, 100);
  Append("a", 1, 70);
  const auto fork = store_.Fork(tenant_, "a", "b", 65);
  ASSERT_TRUE(fork.ok()) << fork.status();
  EXPECT_THAT((*fork)->MeasureUsage().layer_lengths, ElementsAre(65, 65));
  const absl::Status status = store_.Fork(tenant_, "a", "c", 71).status();
  EXPECT_EQ(ReasonOf(status), Reason::kLengthMismatch);
  EXPECT_EQ(FoundLengthOf(status), 70);
  EXPECT_EQ(WhyNot("c"), Reason::kSessionNeverExisted);
}

TEST_F(SessionStoreTest, ForkProlongsItsSource) {
  MustCreate("a");
  clock_.Advance(minutes(9));
  EXPECT_TRUE(store_.Fork(tenant_, "a", "", {}).ok());
  clock_.Advance(minutes(9));
  EXPECT_TRUE(store_.Look(tenant_, "a").ok());
}

TEST_F(SessionStoreTest, EndsAreCounted) {
  MustCreate("a");
  MustCreate("b", minutes(1));
  EXPECT_TRUE(store_.Delete(tenant_, "a").ok());
  clock_.Advance(minutes(1));
  store_.Sweep();
  EXPECT_EQ(metrics_.closed(SessionEnd::kDeleted), 1);
  EXPECT_EQ(metrics_.closed(SessionEnd::kExpired), 1);
}

}  // namespace
}  // namespace attn
