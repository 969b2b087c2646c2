#include "core/batching/batch_scheduler.h"

#include <algorithm>
#include <utility>

#include "core/base/check.h"

namespace attn {
namespace {

size_t QueueIndex(Priority priority) {
  switch (priority) {
    case Priority::kHigh:
      return 0;
    case Priority::kLow:
      return 2;
    case Priority::kNormal:
    case Priority::kUnspecified:
      return 1;
  }
  return 1;
}

Duration HeadStart(size_t queue_index) {
  constexpr Duration kDelays[] = {Duration{}, BatchScheduler::kNormalDelay,
                                  BatchScheduler::kLowDelay};
  return kDelays[queue_index];
}

}  // namespace

BatchScheduler::BatchScheduler(const BatchLimits& limits) : limits_(limits) {}

void BatchScheduler::Schedule(TaskPtr task, TimePoint now) {
  absl::MutexLock lock(&mutex_);
  ATTN_CHECK(!task->is_queued_);
  Queue& queue = queues_[QueueIndex(task->facts().priority)];
  if (spare_.empty()) spare_.emplace_back();
  queue.splice(queue.end(), spare_, spare_.begin());
  const auto place = std::prev(queue.end());
  task->enqueue_time_ = now;
  task->is_queued_ = true;
  task->place_ = place;
  *place = std::move(task);
  ++size_;
}

TaskPtr BatchScheduler::Take(Queue& queue, Queue::iterator place) {
  TaskPtr task = std::move(*place);
  spare_.splice(spare_.end(), queue, place);
  task->is_queued_ = false;
  --size_;
  return task;
}

bool BatchScheduler::Remove(const TaskPtr& task) {
  absl::MutexLock lock(&mutex_);
  if (!task->is_queued_) return false;
  Take(queues_[QueueIndex(task->facts().priority)], task->place_);
  return true;
}

BatchScheduler::Queue* BatchScheduler::NextQueue() {
  Queue* next = nullptr;
  TimePoint best = TimePoint::max();
  for (size_t i = 0; i < kNumPriorities; ++i) {
    if (queues_[i].empty()) continue;
    const TimePoint rank = queues_[i].front()->enqueue_time() + HeadStart(i);
    if (next == nullptr || rank < best) {
      next = &queues_[i];
      best = rank;
    }
  }
  return next;
}

std::optional<ClosedBy> BatchScheduler::CloseReason(TimePoint now) const {
  if (size_ == 0) return std::nullopt;
  if (is_draining_) return ClosedBy::kDrain;
  if (size_ >= limits_.max_batch_tasks) return ClosedBy::kFull;
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
  while (Queue* queue = NextQueue()) {
    const bool is_full =
        static_cast<int64_t>(batch.tasks.size()) >= limits_.max_batch_tasks ||
        (!batch.tasks.empty() &&
         cost + queue->front()->facts().cost > limits_.max_batch_cost);
    if (is_full) {
      batch.closed_by = ClosedBy::kFull;
      break;
    }
    TaskPtr task = Take(*queue, queue->begin());
    if (task->facts().deadline <= now) {
      expired.push_back(std::move(task));
      continue;
    }
    cost += task->facts().cost;
    batch.tasks.push_back(std::move(task));
  }
  if (batch.tasks.empty()) return std::nullopt;
  return batch;
}

std::optional<TimePoint> BatchScheduler::ReadyTimeLocked() const {
  if (size_ == 0) return std::nullopt;
  TimePoint oldest = TimePoint::max();
  for (const Queue& queue : queues_) {
    if (!queue.empty()) {
      oldest = std::min(oldest, queue.front()->enqueue_time());
    }
  }
  const bool is_ready = is_draining_ || size_ >= limits_.max_batch_tasks;
  return is_ready ? oldest : oldest + limits_.max_batch_delay;
}

std::optional<TimePoint> BatchScheduler::ReadyTime() const {
  absl::MutexLock lock(&mutex_);
  return ReadyTimeLocked();
}

std::vector<TaskPtr> BatchScheduler::TakeAll() {
  absl::MutexLock lock(&mutex_);
  std::vector<TaskPtr> tasks;
  while (Queue* queue = NextQueue()) {
    tasks.push_back(Take(*queue, queue->begin()));
  }
  return tasks;
}

void BatchScheduler::StartDraining() {
  absl::MutexLock lock(&mutex_);
  is_draining_ = true;
}

int64_t BatchScheduler::size() const {
  absl::MutexLock lock(&mutex_);
  return size_;
}

}  // namespace attn
