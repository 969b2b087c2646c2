#include "core/batching/batch_scheduler.h"

#include <utility>

namespace attn {

BatchScheduler::BatchScheduler(const BatchLimits& limits) : limits_(limits) {}

void BatchScheduler::Schedule(TaskPtr task, TimePoint now) {
  absl::MutexLock lock(&mutex_);
  queue_.Add(std::move(task), now);
}

bool BatchScheduler::Remove(const TaskPtr& task) {
  absl::MutexLock lock(&mutex_);
  return queue_.Remove(task);
}

std::optional<ClosedBy> BatchScheduler::CloseReason(TimePoint now) const {
  if (queue_.size() == 0) return std::nullopt;
  if (is_draining_) return ClosedBy::kDrain;
  if (queue_.size() >= limits_.max_batch_tasks) return ClosedBy::kFull;
  if (limits_.max_batch_delay == Duration{}) return ClosedBy::kIdleWorker;
  if (*ReadyTimeLocked() <= now) return ClosedBy::kDelay;
  return std::nullopt;
}

std::optional<Batch> BatchScheduler::TakeBatch(TimePoint now,
                                               std::vector<TaskPtr>& expired) {
  absl::MutexLock lock(&mutex_);
  const std::optional<ClosedBy> reason = CloseReason(now);
  if (!reason.has_value()) return std::nullopt;
  Batch batch{.tasks = {}, .closed_by = *reason};
  double cost = 0;
  while (const Task* next = queue_.Next()) {
    const bool is_full =
        static_cast<int64_t>(batch.tasks.size()) >= limits_.max_batch_tasks ||
        (!batch.tasks.empty() &&
         cost + next->facts().cost > limits_.max_batch_cost);
    if (is_full) {
      batch.closed_by = ClosedBy::kFull;
      break;
    }
    if (next->facts().deadline <= now) {
      expired.push_back(queue_.DropNext());
      continue;
    }
    cost += next->facts().cost;
    batch.tasks.push_back(queue_.TakeNext());
  }
  if (batch.tasks.empty()) return std::nullopt;
  return batch;
}

std::optional<TimePoint> BatchScheduler::ReadyTimeLocked() const {
  const std::optional<TimePoint> oldest = queue_.oldest();
  if (!oldest.has_value()) return std::nullopt;
  const bool is_ready =
      is_draining_ || queue_.size() >= limits_.max_batch_tasks;
  return is_ready ? *oldest : *oldest + limits_.max_batch_delay;
}

std::optional<TimePoint> BatchScheduler::ReadyTime() const {
  absl::MutexLock lock(&mutex_);
  return ReadyTimeLocked();
}

std::vector<TaskPtr> BatchScheduler::TakeAll() {
  absl::MutexLock lock(&mutex_);
  std::vector<TaskPtr> tasks;
  while (queue_.Next() != nullptr) tasks.push_back(queue_.TakeNext());
  return tasks;
}

void BatchScheduler::StartDraining() {
  absl::MutexLock lock(&mutex_);
  is_draining_ = true;
}

int64_t BatchScheduler::size() const {
  absl::MutexLock lock(&mutex_);
  return queue_.size();
}

}  // namespace attn
