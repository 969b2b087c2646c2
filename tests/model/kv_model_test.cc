// Random operations on SessionStore, its layers and the page pool together,
// under a simulated clock and a small budget, against a model that is a map of
// lists. A failure prints its seed; ATTN_TEST_SEED=<seed> runs that one alone.
#include "tests/model/kv_model.h"

#include <algorithm>
#include <cstdlib>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

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
constexpr int64_t kMaxLength = 400;

// The system under test beside its model.
class Simulation {
 public:
  explicit Simulation(uint64_t seed)
      : random_(seed),
        has_int8_(seed % 2 == 0),
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

  int64_t num_refused_for_memory() const { return num_refused_; }

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

  std::string RandomId() { return std::string(1, "abcdefghij"[Pick(10)]); }
  int64_t Pick(int64_t n) { return random_.Between(0, n - 1); }

  // Of the model's living sessions; null if the id has none.
  SessionModel* Alive(const std::string& id) {
    const auto it = model_.find(id);
    if (it == model_.end()) return nullptr;
    if (!it->second.IsExpired(clock_.Now())) return &it->second;
    // The store notices then or later.
    const TimePoint expired_at =
        it->second.last_used + *it->second.spec.idle_ttl;
    ended_[id] = {Reason::kSessionExpired, expired_at};
    model_.erase(it);
    return nullptr;
  }
  void ExpireAll() {
    std::vector<std::string> ids;
    for (const auto& [id, session] : model_) ids.push_back(id);
    for (const std::string& id : ids) Alive(id);
  }
  // The reason is remembered for an hour, and no other is ever given.
  void CheckWhyGone(const std::string& id, const absl::Status& status) {
    EXPECT_TRUE(absl::IsNotFound(status)) << status;
    const auto it = ended_.find(id);
    const Reason found = ReasonOf(status);
    const bool is_known =
        it != ended_.end() && clock_.Now() - it->second.second < minutes(60);
    if (is_known) {
      EXPECT_EQ(found, it->second.first) << id;
    } else if (found != Reason::kSessionNeverExisted) {
      EXPECT_TRUE(it != ended_.end() && found == it->second.first) << id;
    }
  }

  // The session, used; checks that the store agrees.
  SessionPtr Use(const std::string& id) {
    SessionModel* model = Alive(id);
    auto session = store_.Use(id);
    EXPECT_EQ(session.ok(), model != nullptr) << id << session.status();
    if (!session.ok()) {
      CheckWhyGone(id, session.status());
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
    const std::string id = RandomId();
    const bool is_new = Alive(id) == nullptr;
    ExpireAll();
    const auto session = store_.Create(id, spec);
    if (!is_new) {
      EXPECT_EQ(ReasonOf(session.status()), Reason::kSessionExists);
    } else if (std::ssize(model_) >= kMaxSessions) {
      EXPECT_EQ(ReasonOf(session.status()), Reason::kQuota);
    } else {
      ASSERT_TRUE(session.ok()) << session.status();
      model_[id] = {(*session)->spec(), clock_.Now(), {}};
    }
  }

  void Append() {
    const std::string id = RandomId();
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
    if (!append.ok()) {
      EXPECT_EQ(ReasonOf(append.status()), Reason::kKvMemory);
      ++num_refused_;
      return;
    }
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
    const std::string source = RandomId(), id = RandomId();
    const std::optional<int64_t> length = RandomLength();
    ExpireAll();
    SessionModel* model = Alive(source);
    const bool is_new = Alive(id) == nullptr;
    const bool has_room = std::ssize(model_) < kMaxSessions;
    const bool fits =
        model != nullptr && (!length.has_value() || AllKeep(*model, *length));
    const auto fork = store_.Fork(source, id, length);
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
    const std::string id = RandomId();
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
    const std::string id = RandomId();
    const bool is_alive = Alive(id) != nullptr;
    const absl::Status status = store_.Delete(id);
    EXPECT_EQ(status.ok(), is_alive) << status;
    if (!is_alive) return;
    model_.erase(id);
    ended_[id] = {Reason::kSessionDeleted, clock_.Now()};
    CheckWhyGone(id, store_.Look(id).status());
  }

  void HoldOrDropSnapshot() {
    if (!held_.empty() && random_.Chance(0.5)) {
      CheckHeld(held_.front());
      held_.pop_front();
      return;
    }
    const std::string id = RandomId();
    const SessionPtr session = Use(id);
    if (session == nullptr) return;
    SessionModel& model = model_[id];
    const int64_t number = Pick(model.spec.num_layers);
    held_.emplace_back(session->Lock(number)->Snapshot(),
                       model.layers[number].ids);
  }

  static void CheckHeld(const std::pair<KvSnapshot, TokenIds>& held) {
    EXPECT_EQ(CompareWithIds(held.first, held.second), "");
  }

  // Every layer against its model, and the sums of pages.
  void CheckBooks() {
    const std::string id = RandomId();
    SessionModel* model = Alive(id);
    const auto session = store_.Look(id);
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
  }

  void Finish() {
    for (const auto& held : held_) CheckHeld(held);
    held_.clear();
    clock_.Advance(minutes(60));
    store_.Sweep();
    EXPECT_EQ(store_.size(), 0);
    EXPECT_EQ(pool_.used_bytes(), 0);
    EXPECT_EQ(pool_.shared_bytes(), 0);
  }

  Random random_;
  const bool has_int8_;
  FakeClock clock_;
  RecordingSessionMetrics metrics_;
  PagePool pool_;
  SessionStore store_;

  std::map<std::string, SessionModel> model_;
  std::map<std::string, std::pair<Reason, TimePoint>> ended_;
  std::deque<std::pair<KvSnapshot, TokenIds>> held_;
  uint64_t next_id_ = 1;
  int64_t num_refused_ = 0;
};

int64_t RunSeed(uint64_t seed) {
  SCOPED_TRACE("replay with ATTN_TEST_SEED=" + std::to_string(seed));
  Simulation simulation(seed);
  simulation.Run(/*num_steps=*/2000);
  return simulation.num_refused_for_memory();
}

TEST(KvModelTest, RandomOperationsFollowTheModel) {
  if (const char* seed = std::getenv("ATTN_TEST_SEED")) {
    RunSeed(std::strtoull(seed, nullptr, 10));
    return;
  }
  int64_t num_refused = 0;
  for (int64_t seed = 1; seed <= Scaled(100, 10); ++seed) {
    num_refused += RunSeed(static_cast<uint64_t>(seed));
    if (HasFailure()) return;
  }
  EXPECT_GT(num_refused, 100) << "the budget never ran out";
}

}  // namespace
}  // namespace attn::test
