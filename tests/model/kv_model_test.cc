// Random operations on SessionStore, its layers and the page pool together,
// under a simulated clock, a small budget and two tenants, against a model that
// is a map of lists. A failure prints its seed; ATTN_TEST_SEED=<seed> runs that
// one alone.
#include "tests/model/kv_model.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/base/error.h"
#include "core/kv_cache/session_store.h"
#include "gtest/gtest.h"
#include "tests/support/fake_clock.h"
#include "tests/support/kv_tokens.h"
#include "tests/support/random.h"
#include "tests/support/recording_session_metrics.h"
#include "tests/support/sizes.h"

namespace attn::test {
namespace {

using std::chrono::minutes;

constexpr int64_t kMaxSessions = 6;
constexpr int kTenants = 2;
constexpr int64_t kMaxLength = 400;

// The system under test beside its model.
class Simulation {
 public:
  explicit Simulation(uint64_t seed)
      : random_(seed),
        has_int8_(seed % 2 == 0),
        tenants_{Tenant("a", 0, {}),
                 Tenant("b", 1, RandomTenantLimits(random_))},
        pool_(PoolBytes()),
        store_(Limits(),
               {pool_, clock_, metrics_, [this] { return random_.Next(); }}) {}

  void Run(int64_t num_steps) {
    for (int64_t i = 0; i < num_steps; ++i) {
      Step();
      CheckBooks();
      if (testing::Test::HasFailure()) return;
    }
    Finish();
  }

  const Refusals& refusals() const { return refusals_; }

 private:
  static SessionLimits Limits() {
    SessionLimits limits;
    limits.max_sessions = kMaxSessions;
    limits.idle_ttl = minutes(60);
    limits.max_length = kMaxLength;
    return limits;
  }

  // Where pages have two sizes, those that come first take a slab of 2 MiB and
  // the others run out.
  int64_t PoolBytes() {
    const int64_t bytes = random_.Between(4, 60) * 1024 * 4;
    return has_int8_ ? (int64_t{2} << 20) + bytes / 4 : bytes;
  }

  void Step() {
    const double choice = random_.Uniform();
    if (choice < 0.08) return Create();
    if (choice < 0.60) return Append();
    if (choice < 0.68) return Fork();
    if (choice < 0.78) return Truncate();
    if (choice < 0.82) return Delete();
    if (choice < 0.92) return HoldOrDropSnapshot();
    if (choice < 0.96) return store_.Sweep();
    clock_.Advance(minutes(random_.Between(1, 10)));
  }

  // Both tenants use the same ids.
  std::string RandomName() {
    return absl::StrCat(Pick(kTenants), std::string(1, "abcdefgh"[Pick(8)]));
  }
  Tenant& TenantOf(const std::string& name) { return tenants_[name[0] - '0']; }
  int64_t Pick(int64_t n) { return random_.Between(0, n - 1); }

  // Of the model's living sessions; null if the id has none.
  SessionModel* Alive(const std::string& id) {
    const auto it = model_.find(id);
    if (it == model_.end()) return nullptr;
    if (!it->second.IsExpired(clock_.Now())) return &it->second;
    // The store notices then or later.
    const TimePoint expired_at =
        it->second.last_used + *it->second.spec.idle_ttl;
    ends_.Add(id, Reason::kSessionExpired, expired_at);
    model_.erase(it);
    return nullptr;
  }
  void ExpireAll() {
    std::vector<std::string> ids;
    for (const auto& [id, session] : model_) ids.push_back(id);
    for (const std::string& id : ids) Alive(id);
  }
  // The session, used; checks that the store agrees.
  SessionPtr Use(const std::string& id) {
    SessionModel* model = Alive(id);
    auto session = store_.Use(TenantOf(id), IdOf(id));
    EXPECT_EQ(session.ok(), model != nullptr) << id << session.status();
    if (!session.ok()) {
      EXPECT_EQ(ends_.Compare(id, session.status(), clock_.Now()), "");
      return nullptr;
    }
    if (model != nullptr) model->last_used = clock_.Now();
    return *std::move(session);
  }

  void Create() {
    KvSpec spec{.num_layers = random_.Between(1, 3),
                .num_kv_heads = 1,
                .head_dim = 3,
                .value_head_dim = 2};
    if (random_.Chance(0.4)) spec.window = random_.Between(1, 150);
    if (random_.Chance(0.3)) spec.idle_ttl = minutes(random_.Between(5, 30));
    if (random_.Chance(0.5)) {
      spec.kv_dtype = has_int8_ ? KvDtype::kInt8 : KvDtype::kBF16;
    }
    const std::string id = RandomName();
    const bool is_new = Alive(id) == nullptr;
    ExpireAll();
    Tenant& tenant = TenantOf(id);
    const auto session = store_.Create(tenant, IdOf(id), spec);
    if (!is_new) {
      EXPECT_EQ(ReasonOf(session.status()), Reason::kSessionExists);
    } else if (!HasRoom(tenant)) {
      EXPECT_EQ(ReasonOf(session.status()), Reason::kQuota);
    } else {
      ASSERT_TRUE(session.ok()) << session.status();
      model_[id] = {(*session)->spec(), clock_.Now(), {}};
    }
  }

  // After ExpireAll.
  bool HasRoom(const Tenant& tenant) const {
    const int64_t max = tenant.limits().max_sessions;
    return std::ssize(model_) < kMaxSessions &&
           (max == 0 || NumSessions(tenant) < max);
  }
  int64_t NumSessions(const Tenant& tenant) const {
    return std::count_if(model_.begin(), model_.end(), [&](const auto& item) {
      return item.first[0] - '0' == tenant.number();
    });
  }

  void Append() {
    const std::string id = RandomName();
    const SessionPtr session = Use(id);
    if (session == nullptr) return;
    SessionModel& model = model_[id];
    const int64_t number = Pick(model.spec.num_layers);
    LayerModel& layer = model.layers[number];
    const Session::LayerGuard guard = session->Lock(number);
    if (layer.last_start.has_value() && random_.Chance(0.2)) {
      return Repeat(*guard, *session, layer);
    }
    const int64_t n = random_.Chance(0.5) ? 1 : random_.Between(0, 140);
    const TokenIds ids = IdsFrom(next_id_, n);
    next_id_ += static_cast<uint64_t>(n);
    AppendNew(*guard, *session, layer, ids);
  }

  void Repeat(KvLayer& actual, const Session& session, LayerModel& layer) {
    const TokenIds last(layer.ids.begin() + *layer.last_start, layer.ids.end());
    EXPECT_TRUE(
        AppendIds(actual, session.format(), last, layer.last_start).ok());
    TokenIds other = last;
    ++other.back();
    const auto refused = actual.BeginAppend(KeyOf(other), layer.last_start);
    EXPECT_EQ(FoundLengthOf(refused.status()), layer.length());
  }

  void AppendNew(KvLayer& actual, const Session& session, LayerModel& layer,
                 const TokenIds& ids) {
    std::optional<int64_t> expected;
    if (random_.Chance(0.5)) expected = layer.length();
    auto append = actual.BeginAppend(KeyOf(ids), expected);
    const auto n = std::ssize(ids);
    if (layer.length() + n > kMaxLength) {
      EXPECT_EQ(ReasonOf(append.status()), Reason::kMaxLength);
      return;
    }
    if (!append.ok()) return CheckRefusal(session, n, append.status());
    EXPECT_FALSE(append->is_repeat());
    EXPECT_EQ(append->start(), layer.length());
    const bool is_dropped = random_.Chance(0.1);
    WriteIds(*append, session.format(), ids, 0, is_dropped ? Pick(n + 1) : n);
    if (is_dropped || n == 0) return;
    append->Commit();
    layer.last_start = layer.oldest_row = layer.length();
    layer.ids.insert(layer.ids.end(), ids.begin(), ids.end());
    layer.is_tail_packed = false;
  }

  void CheckRefusal(const Session& session, int64_t num_tokens,
                    const absl::Status& status) {
    if (ReasonOf(status) == Reason::kKvMemory) {
      ++refusals_.for_memory;
      return;
    }
    EXPECT_EQ(ReasonOf(status), Reason::kQuota) << status;
    // A copy of the last page, its packed form, and a page for each 64 tokens.
    const int64_t most =
        (3 + num_tokens / kPageTokens) * session.format().page_bytes();
    const Tenant& tenant = session.tenant();
    EXPECT_GT(tenant.kv_bytes() + most, tenant.limits().max_kv_bytes);
    ++refusals_.for_quota;
  }

  std::optional<int64_t> RandomLength() {
    if (random_.Chance(0.3)) return std::nullopt;
    return random_.Between(0, 200);
  }

  bool AllKeep(SessionModel& model, int64_t length) {
    bool all = true;
    for (int64_t i = 0; i < model.spec.num_layers; ++i) {
      all &= Keeps(model.spec, model.layers[i], length);
    }
    return all;
  }

  void Fork() {
    const std::string source = RandomName();
    const std::string id = source.substr(0, 1) + IdOf(RandomName());
    const std::optional<int64_t> length = RandomLength();
    ExpireAll();
    SessionModel* model = Alive(source);
    const bool is_new = Alive(id) == nullptr;
    Tenant& tenant = TenantOf(id);
    const bool has_room = HasRoom(tenant);
    const bool fits =
        model != nullptr && (!length.has_value() || AllKeep(*model, *length));
    const auto fork = store_.Fork(tenant, IdOf(source), IdOf(id), length);
    if (model != nullptr) model->last_used = clock_.Now();
    EXPECT_EQ(fork.ok(), fits && is_new && has_room) << fork.status();
    if (!fork.ok() || !fits) return;
    SessionModel copy = *model;
    for (auto& [number, layer] : copy.layers) {
      if (length.has_value()) Cut(layer, *length);
      layer.last_start.reset();
    }
    model_[id] = copy;
  }

  void Truncate() {
    const std::string id = RandomName();
    const SessionPtr session = Use(id);
    if (session == nullptr) return;
    SessionModel& model = model_[id];
    const int64_t length = random_.Between(0, 200);
    if (random_.Chance(0.5)) {
      const bool fits = AllKeep(model, length);
      EXPECT_EQ(session->Truncate(length, std::nullopt).ok(), fits);
      if (!fits) return;
      for (auto& [number, layer] : model.layers) Cut(layer, length);
      return;
    }
    const int64_t number = Pick(model.spec.num_layers);
    LayerModel& layer = model.layers[number];
    const bool fits = Keeps(model.spec, layer, length);
    const absl::Status status = session->Truncate(length, number);
    EXPECT_EQ(status.ok(), fits) << status;
    if (fits) return Cut(layer, length);
    EXPECT_EQ(FoundLengthOf(status), layer.length());
  }

  void Delete() {
    const std::string id = RandomName();
    const bool is_alive = Alive(id) != nullptr;
    const absl::Status status = store_.Delete(TenantOf(id), IdOf(id));
    EXPECT_EQ(status.ok(), is_alive) << status;
    if (!is_alive) return;
    model_.erase(id);
    ends_.Add(id, Reason::kSessionDeleted, clock_.Now());
    EXPECT_EQ(ends_.Compare(id, store_.Look(TenantOf(id), IdOf(id)).status(),
                            clock_.Now()),
              "");
  }

  void HoldOrDropSnapshot() {
    if (!held_.empty() && random_.Chance(0.5)) {
      EXPECT_EQ(held_.front().Compare(), "");
      held_.pop_front();
      return;
    }
    const std::string id = RandomName();
    const SessionPtr session = Use(id);
    if (session == nullptr) return;
    SessionModel& model = model_[id];
    const int64_t number = Pick(model.spec.num_layers);
    held_.push_back({&TenantOf(id), session->Lock(number)->Snapshot(),
                     model.layers[number].ids});
  }

  // Every layer against its model, and the sums of pages.
  void CheckBooks() {
    const std::string id = RandomName();
    SessionModel* model = Alive(id);
    const auto session = store_.Look(TenantOf(id), IdOf(id));
    EXPECT_EQ(session.ok(), model != nullptr) << id << " " << session.status();
    if (model == nullptr || !session.ok()) return;
    int64_t kv_bytes = 0;
    for (int64_t i = 0; i < model->spec.num_layers; ++i) {
      const LayerModel& layer = model->layers[i];
      const KvSnapshot snapshot = (*session)->Lock(i)->Snapshot();
      EXPECT_EQ(CompareWithIds(snapshot, layer.ids), "") << id << i;
      EXPECT_EQ(snapshot.first_token, FirstKept(model->spec, layer));
      kv_bytes += BytesOf(snapshot.format, layer, snapshot.first_token);
    }
    EXPECT_EQ((*session)->MeasureUsage().kv_bytes, kv_bytes);
    EXPECT_LE(pool_.used_bytes(), pool_.slab_bytes());
    EXPECT_LE(pool_.slab_bytes(), pool_.max_bytes());
    if (random_.Chance(0.1)) CheckLedgers();
  }

  // Every page in use is in the ledger of the tenant who can read it, once.
  void CheckLedgers() {
    ExpireAll();
    store_.Sweep();
    int64_t all_bytes = 0;
    for (const Tenant& tenant : tenants_) {
      EXPECT_EQ(tenant.kv_bytes(), ReadableBytes(store_, tenant, held_));
      EXPECT_EQ(tenant.sessions(), NumSessions(tenant));
      const int64_t max = tenant.limits().max_kv_bytes;
      EXPECT_TRUE(max == 0 || tenant.kv_bytes() <= max) << tenant.kv_bytes();
      all_bytes += tenant.kv_bytes();
    }
    EXPECT_EQ(pool_.used_bytes(), all_bytes);
  }

  void Finish() {
    for (const Held& held : held_) EXPECT_EQ(held.Compare(), "");
    held_.clear();
    clock_.Advance(minutes(60));
    store_.Sweep();
    EXPECT_EQ(store_.size(), 0);
    EXPECT_EQ(pool_.used_bytes(), 0);
    EXPECT_EQ(pool_.shared_bytes(), 0);
    for (const Tenant& tenant : tenants_) {
      EXPECT_EQ(tenant.sessions(), 0);
      EXPECT_EQ(tenant.kv_bytes(), 0);
    }
  }

  Random random_;
  const bool has_int8_;
  FakeClock clock_;
  RecordingSessionMetrics metrics_;
  std::array<Tenant, kTenants> tenants_;
  PagePool pool_;
  SessionStore store_;

  std::map<std::string, SessionModel> model_;
  EndsModel ends_;
  std::deque<Held> held_;
  uint64_t next_id_ = 1;
  Refusals refusals_;
};

Refusals RunSeed(uint64_t seed) {
  SCOPED_TRACE("replay with ATTN_TEST_SEED=" + std::to_string(seed));
  Simulation simulation(seed);
  simulation.Run(/*num_steps=*/2000);
  return simulation.refusals();
}

TEST(KvModelTest, RandomOperationsFollowTheModel) {
  if (const char* seed = std::getenv("ATTN_TEST_SEED")) {
    RunSeed(std::strtoull(seed, nullptr, 10));
    return;
  }
  Refusals all;
  for (int64_t seed = 1; seed <= Scaled(100, 10); ++seed) {
    const Refusals refusals = RunSeed(static_cast<uint64_t>(seed));
    if (HasFailure()) return;
    all.for_memory += refusals.for_memory;
    all.for_quota += refusals.for_quota;
  }
  EXPECT_GT(all.for_memory, Scaled(100, 0)) << "the budget never ran out";
  EXPECT_GT(all.for_quota, Scaled(100, 0)) << "the quota never ran out";
}

}  // namespace
}  // namespace attn::test
