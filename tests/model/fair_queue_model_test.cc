// Random arrivals, takings and removals of several tenants in FairQueue,
// against what fairness promises: while two tenants both have queued tasks,
// over any stretch of that time, what was taken of each divided by its weight
// differs by no more than a largest task of each, divided by its weight. A
// failure prints its seed; ATTN_TEST_SEED=<seed> runs that one alone.
#include <algorithm>
#include <cstdlib>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "core/batching/fair_queue.h"
#include "gtest/gtest.h"
#include "tests/support/fake_clock.h"
#include "tests/support/random.h"
#include "tests/support/sizes.h"

namespace attn::test {
namespace {

constexpr double kLargestCost = 100;

// How far two tenants came apart since both have had queued tasks.
struct Pair {
  bool are_busy = false;
  double difference = 0;  // Of what was taken of each / its weight.
  double least = 0, most = 0;
};

class Simulation {
 public:
  explicit Simulation(uint64_t seed) : random_(seed) {
    const int64_t num_tenants = random_.Between(2, 6);
    for (int64_t i = 0; i < num_tenants; ++i) {
      const double weight = 0.25 * static_cast<double>(random_.Between(1, 20));
      tenants_.push_back(std::make_unique<Tenant>(
          "t", random_.Between(0, 1) * 10 + i, TenantLimits{.weight = weight}));
    }
    queued_.resize(tenants_.size());
    pairs_.resize(tenants_.size(), std::vector<Pair>(tenants_.size()));
  }

  void Run(int64_t num_steps) {
    for (int64_t i = 0; i < num_steps; ++i) {
      // Times of plenty and times of want.
      const double arrivals = (i / 100) % 2 == 0 ? 0.6 : 0.35;
      Step(arrivals);
      EXPECT_EQ(queue_.size(), NumQueued());
      if (testing::Test::HasFailure()) return;
    }
    while (queue_.Next() != nullptr) Take();
    EXPECT_EQ(NumQueued(), 0);
  }

  int64_t num_checked() const { return num_checked_; }

 private:
  void Step(double arrivals) {
    const double choice = random_.Uniform();
    if (choice < arrivals) return Arrive();
    if (choice < 0.95) return Take();
    Remove();
  }

  // Bursts, so that some have much and others nothing.
  void Arrive() {
    const size_t who = PickTenant();
    const int64_t n = random_.Chance(0.2) ? random_.Between(2, 20) : 1;
    for (int64_t i = 0; i < n; ++i) {
      TaskFacts facts;
      facts.tenant = tenants_[who].get();
      facts.cost = static_cast<double>(random_.Between(1, 100));
      auto task = std::make_shared<Task>(facts);
      queue_.Add(task, clock_.Now());
      queued_[who].push_back(std::move(task));
    }
    NoteWhoIsBusy();
  }

  void Take() {
    const Task* next = queue_.Next();
    EXPECT_EQ(next != nullptr, NumQueued() > 0);
    if (next == nullptr) return;
    const bool is_late = random_.Chance(0.05);
    const TaskPtr task = is_late ? queue_.DropNext() : queue_.TakeNext();
    EXPECT_EQ(task.get(), next);
    const size_t who = OwnerOf(*task);
    EXPECT_EQ(queued_[who].front(), task) << "out of its tenant's order";
    queued_[who].pop_front();
    if (!is_late) Charge(who, task->facts());
    NoteWhoIsBusy();
  }

  void Charge(size_t who, const TaskFacts& facts) {
    for (size_t other = 0; other < tenants_.size(); ++other) {
      if (other == who) continue;
      Pair& pair = PairOf(who, other);
      if (!pair.are_busy) continue;
      const double part = facts.cost / facts.weight();
      pair.difference += who < other ? part : -part;
      pair.least = std::min(pair.least, pair.difference);
      pair.most = std::max(pair.most, pair.difference);
      const double bound =
          kLargestCost / WeightOf(who) + kLargestCost / WeightOf(other);
      EXPECT_LE(pair.most - pair.least, bound * (1 + 1e-9));
      ++num_checked_;
    }
  }

  void Remove() {
    const size_t who = PickTenant();
    if (queued_[who].empty()) return;
    const auto place =
        queued_[who].begin() + random_.Between(0, std::ssize(queued_[who]) - 1);
    EXPECT_TRUE(queue_.Remove(*place));
    EXPECT_FALSE(queue_.Remove(*place));
    queued_[who].erase(place);
    NoteWhoIsBusy();
  }

  void NoteWhoIsBusy() {
    for (size_t a = 0; a < tenants_.size(); ++a) {
      for (size_t b = a + 1; b < tenants_.size(); ++b) {
        const bool are_busy = !queued_[a].empty() && !queued_[b].empty();
        if (are_busy != pairs_[a][b].are_busy) pairs_[a][b] = {are_busy};
      }
    }
  }

  size_t PickTenant() {
    return static_cast<size_t>(random_.Between(0, std::ssize(tenants_) - 1));
  }
  Pair& PairOf(size_t a, size_t b) {
    return pairs_[std::min(a, b)][std::max(a, b)];
  }
  double WeightOf(size_t who) const { return tenants_[who]->limits().weight; }
  size_t OwnerOf(const Task& task) const {
    const auto it =
        std::find_if(tenants_.begin(), tenants_.end(), [&](const auto& tenant) {
          return tenant.get() == task.facts().tenant;
        });
    return static_cast<size_t>(it - tenants_.begin());
  }
  int64_t NumQueued() const {
    int64_t sum = 0;
    for (const auto& tasks : queued_) sum += std::ssize(tasks);
    return sum;
  }

  Random random_;
  FakeClock clock_;
  std::vector<std::unique_ptr<Tenant>> tenants_;
  FairQueue queue_;

  // By tenant: what is queued, in order of arrival; by two of them, the lower
  // one first.
  std::vector<std::deque<TaskPtr>> queued_;
  std::vector<std::vector<Pair>> pairs_;
  int64_t num_checked_ = 0;
};

int64_t RunSeed(uint64_t seed) {
  SCOPED_TRACE("replay with ATTN_TEST_SEED=" + std::to_string(seed));
  Simulation simulation(seed);
  simulation.Run(/*num_steps=*/1500);
  return simulation.num_checked();
}

TEST(FairQueueModelTest, ServedCostFollowsTheWeightsWithinATaskOfEach) {
  if (const char* seed = std::getenv("ATTN_TEST_SEED")) {
    RunSeed(std::strtoull(seed, nullptr, 10));
    return;
  }
  int64_t num_checked = 0;
  for (int64_t seed = 1; seed <= Scaled(200, 20); ++seed) {
    num_checked += RunSeed(static_cast<uint64_t>(seed));
    if (HasFailure()) return;
  }
  EXPECT_GT(num_checked, 10'000) << "tenants were never busy together";
}

}  // namespace
}  // namespace attn::test
