// The queue, and how batches leave it. Tasks of any lengths share a batch as
// they are; a batch is whatever queued up while the workers were busy, so an
// idle worker never waits for company unless max_batch_delay asks it to.
//
// Order: fair between tenants, by rank within one (fair_queue.h). A batch mixes
// tenants.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "core/batching/fair_queue.h"
#include "core/batching/task.h"

namespace attn {

struct BatchLimits {
  // A batch closes at this many tasks. Default as --max-batch-tasks.
  int64_t max_batch_tasks = 256;
  // A batch closes when its estimated FLOPs reach this, so that urgent tasks
  // that come later wait for no more than that. At least one task is taken.
  double max_batch_cost = 4e9;
  // Wait this long for company. 0 (recommended): never.
  Duration max_batch_delay{};
};

// Tasks that leave the queue together.
struct Batch {
  TaskList tasks;
  ClosedBy closed_by = ClosedBy::kIdleWorker;
};

// Thread-safe. Holds no clock: every call is told the time.
class BatchScheduler {
 public:
  explicit BatchScheduler(const BatchLimits& limits);

  // Appends the task. REQUIRES: it is in no queue.
  void Schedule(TaskPtr task, TimePoint now);

  // Takes a queued task out again. False if it is not queued (any more).
  bool Remove(const TaskPtr& task);

  // The next batch for an idle worker; nothing if the queue is empty or waits
  // for company (ReadyTime). Tasks whose deadline passed go to `expired`
  // instead.
  std::optional<Batch> TakeBatch(TimePoint now, std::vector<TaskPtr>& expired);

  // When TakeBatch will give a batch if nothing more comes; nothing while the
  // queue is empty.
  std::optional<TimePoint> ReadyTime() const;

  // Every queued task, which leaves the queue.
  std::vector<TaskPtr> TakeAll();

  // From now on batches close at once, as kDrain.
  void StartDraining();

  int64_t size() const;

 private:
  std::optional<TimePoint> ReadyTimeLocked() const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::optional<ClosedBy> CloseReason(TimePoint now) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const BatchLimits limits_;

  mutable absl::Mutex mutex_;
  FairQueue queue_ ABSL_GUARDED_BY(mutex_);
  bool is_draining_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace attn
