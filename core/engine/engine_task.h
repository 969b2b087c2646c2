// A task as the engine runs it: when it started, how it ends, who is told.
// What it computes is up to those derived from it: attention_task.h,
// projection_task.h.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "core/batching/admission.h"
#include "core/batching/task.h"
#include "core/metrics/engine_metrics.h"

namespace attn {

// How a task ends, decided once: the first verdict stays. Thread-safe.
class Verdict {
 public:
  // True if this is the first one.
  bool Decide(Outcome outcome) {
    int undecided = 0;
    return value_.compare_exchange_strong(undecided,
                                          1 + static_cast<int>(outcome));
  }
  bool is_decided() const { return value_.load() != 0; }
  // REQUIRES: is_decided().
  Outcome outcome() const { return static_cast<Outcome>(value_.load() - 1); }

 private:
  std::atomic<int> value_{0};  // 0, or 1 + Outcome.
};

class EngineTask;
using EngineTaskPtr = std::shared_ptr<EngineTask>;

// Called once, on a worker or on the thread that cancels or aborts. Must not
// block.
using TaskDone = std::function<void(EngineTask&)>;

struct TaskSubmission;
// The same for a task that is a step of a job (forward_job.h): returns the next
// one. What the steps of one work item return is queued together.
using TaskNext = std::function<std::optional<TaskSubmission>(EngineTask&)>;

// A task for the queue; with `done` or, for a step of a job, with `next`.
struct TaskSubmission {
  EngineTaskPtr task;
  TaskDone done = {};
  TaskNext next = {};
};

// Thread-compatible; the engine orders who touches it when.
class EngineTask : public Task {
 public:
  enum class Kind { kAttention, kProjection };

  // A step of a job borrows the job's ticket, which must outlive it; else null,
  // and `ticket` is its own.
  EngineTask(Kind kind, const TaskFacts& facts, AdmissionTicket ticket,
             AdmissionTicket* job_ticket)
      : Task(facts),
        kind_(kind),
        ticket_(std::move(ticket)),
        job_ticket_(job_ticket) {}

  Kind kind() const { return kind_; }
  // Whether it is a step of a job, which is admitted and counted as a whole.
  bool is_step() const { return job_ticket_ != nullptr; }

  // How many items will run before it is concluded. Called once, before any
  // of them may be claimed.
  void ExpectItems(int64_t num_items) { items_left_ = num_items; }

  // How it ended; constant once done.
  const absl::Status& status() const { return status_; }
  Outcome outcome() const { return verdict_.outcome(); }
  const TaskTimes& times() const { return times_; }
  int64_t batch_size() const { return batch_size_; }
  // Of the batch it ran in, counted from 1; 0: it never ran.
  int64_t batch_number() const { return batch_number_; }

 private:
  friend class Engine;

  // It ended: gives back what only computing needs. Before done is called.
  virtual void ReleaseInputs() = 0;

  AdmissionTicket& ticket() { return is_step() ? *job_ticket_ : ticket_; }

  // Written by the engine alone.
  const Kind kind_;
  AdmissionTicket ticket_;
  AdmissionTicket* const job_ticket_;
  TaskDone done_;
  TaskNext next_;
  absl::Status status_;
  TaskTimes times_;
  int64_t batch_size_ = 0;
  int64_t batch_number_ = 0;
  std::atomic<int64_t> items_left_{0};
  // Nanoseconds of the clock when the first item started; 0: none has.
  std::atomic<int64_t> start_ns_{0};
  Verdict verdict_;
};

}  // namespace attn
