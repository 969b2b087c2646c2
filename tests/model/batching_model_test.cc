// Random operations on BatchScheduler and Admission together, under a simulated
// clock, against a model that is a sorted list and four sums. A failure prints
// its seed; ATTN_TEST_SEED=<seed> runs that one alone.
#include <algorithm>
#include <cstdlib>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "core/base/error.h"
#include "core/batching/admission.h"
#include "core/batching/batch_scheduler.h"
#include "gtest/gtest.h"
#include "tests/support/fake_clock.h"
#include "tests/support/random.h"
#include "tests/support/recording_metrics.h"
#include "tests/support/sizes.h"

namespace attn::test {
namespace {

using std::chrono::milliseconds;

// A task with an identity and its place in the house.
class ModelTask final : public Task {
 public:
  ModelTask(int64_t id, const TaskFacts& facts, AdmissionTicket ticket)
      : Task(facts), id_(id), ticket_(std::move(ticket)) {}

  int64_t id() const { return id_; }
  AdmissionTicket& ticket() { return ticket_; }

 private:
  const int64_t id_;
  AdmissionTicket ticket_;
};

ModelTask& AsModelTask(const TaskPtr& task) {
  return static_cast<ModelTask&>(*task);
}

// What the model knows of a queued task.
struct Queued {
  int64_t id = 0;
  TimePoint enqueued;
  TaskFacts facts;

  // Urgent ones first where ranks are equal, then the order of arrival.
  std::tuple<TimePoint, int, int64_t> Order() const {
    switch (facts.priority) {
      case Priority::kHigh:
        return {enqueued, 0, id};
      case Priority::kLow:
        return {enqueued + milliseconds(1100), 2, id};
      default:
        return {enqueued + milliseconds(100), 1, id};
    }
  }
};

// The queue as the contract describes it.
class QueueModel {
 public:
  explicit QueueModel(const BatchLimits& limits) : limits_(limits) {}

  void Add(const Queued& task) { queued_.push_back(task); }
  void Remove(int64_t id) {
    std::erase_if(queued_, [&](const Queued& task) { return task.id == id; });
  }
  int64_t size() const { return std::ssize(queued_); }

  bool IsReady(TimePoint now) const {
    if (queued_.empty()) return false;
    if (size() >= limits_.max_batch_tasks) return true;
    const auto oldest = std::min_element(
        queued_.begin(), queued_.end(),
        [](const auto& a, const auto& b) { return a.enqueued < b.enqueued; });
    return oldest->enqueued + limits_.max_batch_delay <= now;
  }

  struct Taken {
    std::vector<int64_t> batch, expired;
  };
  Taken Take(TimePoint now) {
    Taken taken;
    if (!IsReady(now)) return taken;
    std::sort(queued_.begin(), queued_.end(), [](const auto& a, const auto& b) {
      return a.Order() < b.Order();
    });
    double cost = 0;
    size_t i = 0;
    for (; i < queued_.size(); ++i) {
      const Queued& task = queued_[i];
      const bool is_full = std::ssize(taken.batch) == limits_.max_batch_tasks ||
                           (!taken.batch.empty() &&
                            cost + task.facts.cost > limits_.max_batch_cost);
      if (is_full) break;
      const bool is_late = task.facts.deadline <= now;
      (is_late ? taken.expired : taken.batch).push_back(task.id);
      if (!is_late) cost += task.facts.cost;
    }
    queued_.erase(queued_.begin(), queued_.begin() + static_cast<ptrdiff_t>(i));
    return taken;
  }

 private:
  const BatchLimits limits_;
  std::vector<Queued> queued_;
};

std::vector<int64_t> IdsOf(absl::Span<const TaskPtr> tasks) {
  std::vector<int64_t> ids;
  for (const TaskPtr& task : tasks) ids.push_back(AsModelTask(task).id());
  return ids;
}

// The system under test beside its model.
class Simulation {
 public:
  explicit Simulation(uint64_t seed)
      : random_(seed),
        batch_limits_(RandomBatchLimits()),
        admission_limits_(RandomAdmissionLimits()),
        scheduler_(batch_limits_),
        admission_(admission_limits_, metrics_),
        model_(batch_limits_) {}

  void Run(int64_t num_steps) {
    for (int64_t i = 0; i < num_steps; ++i) {
      Step();
      CheckBooks();
      if (testing::Test::HasFailure()) return;
    }
    Finish();
  }

 private:
  BatchLimits RandomBatchLimits() {
    BatchLimits limits;
    limits.max_batch_tasks = random_.Between(1, 8);
    limits.max_batch_cost = static_cast<double>(random_.Between(1, 400));
    if (random_.Chance(0.5)) {
      limits.max_batch_delay = milliseconds(random_.Between(1, 20));
    }
    return limits;
  }
  AdmissionLimits RandomAdmissionLimits() {
    AdmissionLimits limits;
    limits.max_queue_tasks = random_.Between(0, 30);
    limits.max_queue_bytes = random_.Between(0, 5000);
    // Estimates have their unit tests; here they only must not leak.
    limits.max_queue_wait = std::chrono::hours(1000);
    limits.num_workers = static_cast<int>(random_.Between(1, 4));
    return limits;
  }

  void Step() {
    const double choice = random_.Uniform();
    if (choice < 0.45) return Admit();
    if (choice < 0.55) return RemoveOne();
    if (choice < 0.70) return TakeBatch();
    if (choice < 0.80)
      return clock_.Advance(milliseconds(50 * random_.Between(0, 6)));
    if (choice < 0.90) return WorkOne();
    EndOne();
  }

  TaskFacts RandomFacts() {
    TaskFacts facts;
    facts.priority = static_cast<Priority>(random_.Between(0, 3));
    facts.bytes = random_.Between(0, 900);
    facts.cost = static_cast<double>(random_.Between(0, 150));
    if (random_.Chance(0.3)) {
      facts.deadline = clock_.Now() + milliseconds(random_.Between(0, 500));
    }
    return facts;
  }

  void Admit() {
    const TaskFacts facts = RandomFacts();
    auto ticket = admission_.Admit(facts, clock_.Now());
    if (!ticket.ok()) return CheckRefusal(facts, ticket.status());
    EXPECT_TRUE(HasRoom(facts)) << "admitted beyond a bound";
    const int64_t id = num_admitted_++;
    auto task = std::make_shared<ModelTask>(id, facts, *std::move(ticket));
    house_[id] = task;
    queued_.push_back(id);
    scheduler_.Schedule(task, clock_.Now());
    model_.Add({.id = id, .enqueued = clock_.Now(), .facts = facts});
  }

  bool HasRoom(const TaskFacts& facts) const {
    return house_.empty() ||
           (std::ssize(queued_) < admission_limits_.max_queue_tasks &&
            BytesInHouse() + facts.bytes <= admission_limits_.max_queue_bytes);
  }

  void CheckRefusal(const TaskFacts& facts, const absl::Status& status) {
    if (absl::IsDeadlineExceeded(status)) {
      EXPECT_NE(facts.deadline, kNoDeadline);
      return;
    }
    EXPECT_EQ(ReasonOf(status), Reason::kQueueFull);
    EXPECT_GT(RetryAfterOf(status).value_or(Duration{}), Duration{});
    EXPECT_FALSE(HasRoom(facts)) << status;
  }

  void RemoveOne() {
    if (house_.empty()) return;
    const int64_t id = AnyOf(house_);
    const bool was_queued = std::erase(queued_, id) > 0;
    EXPECT_EQ(scheduler_.Remove(house_[id]), was_queued);
    if (!was_queued) return;
    model_.Remove(id);
    End(id);
  }

  void TakeBatch() {
    EXPECT_EQ(scheduler_.ReadyTime().has_value(), !queued_.empty());
    std::vector<TaskPtr> expired;
    const auto batch = scheduler_.TakeBatch(clock_.Now(), expired);
    const QueueModel::Taken expected = model_.Take(clock_.Now());
    EXPECT_EQ(IdsOf(expired), expected.expired);
    EXPECT_EQ(batch.has_value() ? IdsOf(batch->tasks) : std::vector<int64_t>(),
              expected.batch);
    for (const TaskPtr& task : expired) {
      std::erase(queued_, AsModelTask(task).id());
      End(AsModelTask(task).id());
    }
    if (!batch.has_value()) return;
    for (const TaskPtr& task : batch->tasks) {
      std::erase(queued_, AsModelTask(task).id());
      running_[AsModelTask(task).id()] = task;
      admission_.Started(AsModelTask(task).ticket());
    }
  }

  void WorkOne() {
    if (running_.empty()) return;
    const TaskPtr task = running_[AnyOf(running_)];
    admission_.WorkedOff(AsModelTask(task).ticket(),
                         task->facts().cost * random_.Uniform() / 4,
                         milliseconds(random_.Between(0, 2)));
  }

  void EndOne() {
    if (!running_.empty()) End(AnyOf(running_));
  }

  void End(int64_t id) {
    EXPECT_EQ(house_.erase(id), 1u) << "ended twice";
    running_.erase(id);
    ++num_ended_;
  }

  int64_t AnyOf(const std::map<int64_t, TaskPtr>& tasks) {
    return std::next(tasks.begin(), random_.Between(0, std::ssize(tasks) - 1))
        ->first;
  }

  int64_t BytesInHouse() const {
    int64_t bytes = 0;
    for (const auto& [id, task] : house_) bytes += task->facts().bytes;
    return bytes;
  }

  void CheckBooks() {
    EXPECT_EQ(scheduler_.size(), std::ssize(queued_));
    EXPECT_EQ(scheduler_.size(), model_.size());
    EXPECT_EQ(admission_.queued_tasks(), std::ssize(queued_));
    EXPECT_EQ(admission_.bytes(), BytesInHouse());
    EXPECT_EQ(metrics_.queue_depth(), std::ssize(queued_));
    EXPECT_EQ(metrics_.inflight_bytes(), BytesInHouse());
    if (house_.empty()) {
      EXPECT_EQ(admission_.EstimatedWait(), Duration{});
    }
  }

  // Draining empties the house, and nothing is lost.
  void Finish() {
    admission_.StartDraining();
    EXPECT_EQ(ReasonOf(admission_.Admit({}, clock_.Now()).status()),
              Reason::kDraining);
    for (const TaskPtr& task : scheduler_.TakeAll()) {
      std::erase(queued_, AsModelTask(task).id());
      model_.Remove(AsModelTask(task).id());
      End(AsModelTask(task).id());
    }
    EXPECT_TRUE(queued_.empty());
    while (!running_.empty()) EndOne();
    EXPECT_TRUE(house_.empty()) << "a task was lost";
    EXPECT_EQ(num_admitted_, num_ended_);
    CheckBooks();
  }

  Random random_;
  FakeClock clock_;
  RecordingMetrics metrics_;
  const BatchLimits batch_limits_;
  const AdmissionLimits admission_limits_;
  BatchScheduler scheduler_;
  Admission admission_;
  QueueModel model_;

  // Admitted and not ended; of these, what is queued and what runs.
  std::map<int64_t, TaskPtr> house_;
  std::vector<int64_t> queued_;
  std::map<int64_t, TaskPtr> running_;
  int64_t num_admitted_ = 0;
  int64_t num_ended_ = 0;
};

void RunSeed(uint64_t seed) {
  SCOPED_TRACE("replay with ATTN_TEST_SEED=" + std::to_string(seed));
  Simulation(seed).Run(/*num_steps=*/600);
}

TEST(BatchingModelTest, RandomOperationsFollowTheModel) {
  if (const char* seed = std::getenv("ATTN_TEST_SEED")) {
    return RunSeed(std::strtoull(seed, nullptr, 10));
  }
  for (int64_t seed = 1; seed <= Scaled(400, 40); ++seed) {
    RunSeed(static_cast<uint64_t>(seed));
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace attn::test
