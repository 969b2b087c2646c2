// A task is one admitted request on its way through queue, batch and workers.
// Batching knows its facts and nothing of its tensors; the engine's tasks
// derive from it (core/engine/attention_task.h).
#pragma once

#include <cstdint>
#include <list>
#include <memory>

#include "absl/container/inlined_vector.h"
#include "core/base/clock.h"
#include "core/metrics/engine_metrics.h"
#include "core/tenant/tenant.h"

namespace attn {

// The numbers equal those of the wire enum.
enum class Priority : int32_t {
  kUnspecified = 0,  // The same as kNormal.
  kLow = 1,
  kNormal = 2,
  kHigh = 3,
};

// What batching decides by; constant once the task is made.
struct TaskFacts {
  Priority priority = Priority::kNormal;
  TimePoint deadline = kNoDeadline;
  // Memory the task holds from admission to its end: inputs and reply.
  int64_t bytes = 0;
  // Estimated work in FLOPs.
  double cost = 0;
  int64_t num_query_tokens = 0;
  TaskKind kind = TaskKind::kPrefill;
  // Whose it is, who must outlive it; null: everybody's, without bounds.
  Tenant* tenant = nullptr;

  int64_t tenant_number() const {
    return tenant == nullptr ? 0 : tenant->number();
  }
  double weight() const {
    return tenant == nullptr ? 1 : tenant->limits().weight;
  }
};

class Task;
// Shared by the call that may cancel it and by the queue, batch or worker that
// has it now.
using TaskPtr = std::shared_ptr<Task>;
// Tasks of a batch; a few of them without memory of their own.
using TaskList = absl::InlinedVector<TaskPtr, 8>;

// Thread-compatible; the scheduler guards the queue fields with its own lock.
class Task {
 public:
  explicit Task(const TaskFacts& facts) : facts_(facts) {}
  virtual ~Task() = default;
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;

  const TaskFacts& facts() const { return facts_; }
  // When the scheduler got it.
  TimePoint enqueue_time() const { return enqueue_time_; }

 private:
  friend class FairQueue;

  const TaskFacts facts_;
  TimePoint enqueue_time_{};
  bool is_queued_ = false;
  std::list<TaskPtr>::iterator place_;  // Valid while is_queued_.
};

}  // namespace attn
