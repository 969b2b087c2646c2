// The door: may this request become a task now? Bounds what waits, by count, by
// bytes and by the time it would take, so that overload is answered at once
// with QUEUE_FULL instead of slowly with expired deadlines.
//
// Invariants:
//   1. Every admitted task is counted in `queued` until Started and in `bytes`
//      until its ticket is destroyed.
//   2. An empty house takes any task whose deadline has not passed: a request
//      below the byte limit is never refused for its size alone, and an
//      estimate that went wrong cannot shut the door for good.
//   3. A tenant's flood fills its own share of the queue (TenantLimits), and
//      what it has queued counts for others' wait only as far as it goes before
//      them (fair_queue.h): it is refused, while their calls are taken. A
//      tenant without tasks in the house is never refused for its share.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "core/batching/task.h"
#include "core/metrics/engine_metrics.h"
#include "core/tenant/tenant.h"

namespace attn {

struct AdmissionLimits {
  int64_t max_queue_tasks = 4096;
  // Of queued and running tasks together.
  int64_t max_queue_bytes = int64_t{1} << 30;
  // Longest estimated wait.
  Duration max_queue_wait = std::chrono::seconds(2);
  int num_workers = 1;
};

class Admission;

// A task's place in the house; leaves it when destroyed. Empty when
// default-constructed or moved from. Thread-compatible, but for what Admission
// does with it. The Admission must outlive it.
class AdmissionTicket {
 public:
  AdmissionTicket() = default;
  AdmissionTicket(AdmissionTicket&& other) noexcept;
  AdmissionTicket& operator=(AdmissionTicket&& other) noexcept;
  ~AdmissionTicket();

 private:
  friend class Admission;

  Admission* admission_ = nullptr;
  Tenant* tenant_ = nullptr;
  int64_t bytes_ = 0;
  // Guarded by the admission's lock.
  bool was_started_ = false;
  double left_cost_ = 0;
};

// Thread-safe. Borrows the metrics, which must outlive it.
class Admission {
 public:
  Admission(const AdmissionLimits& limits, EngineMetrics& metrics);

  // Takes the task in, or says why not: DEADLINE_EXCEEDED (passed, or
  // DEADLINE_UNREACHABLE), RESOURCE_EXHAUSTED / QUEUE_FULL with the time after
  // which there will be room, for all or for the tenant, UNAVAILABLE /
  // DRAINING.
  absl::StatusOr<AdmissionTicket> Admit(const TaskFacts& task, TimePoint now);

  // UNAVAILABLE / DRAINING once StartDraining was called.
  absl::Status CheckOpen() const;

  // The task left the queue for a batch, or a step of the job did.
  void Started(AdmissionTicket& ticket);
  // One worker worked off `cost` of a started task in `time`.
  void WorkedOff(AdmissionTicket& ticket, double cost, Duration time);

  // Refuses everything from now on.
  void StartDraining();

  int64_t queued_tasks() const;
  int64_t bytes() const;
  // Estimated time until a task admitted now would start.
  Duration EstimatedWait() const;

 private:
  friend class AdmissionTicket;

  // A tenant's part of what is counted below.
  struct Load {
    double weight = 1;
    int64_t queued_tasks = 0;
    int64_t admitted_tasks = 0;
    int64_t bytes = 0;
    double queued_cost = 0;
    double pending_cost = 0;
  };

  void Leave(const AdmissionTicket& ticket);
  // Of that tenant; null: of everybody.
  Load& LoadOf(const Tenant* tenant) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The ticket's task left the queue.
  void LeaveQueue(const AdmissionTicket& ticket, Load& load)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Queued work that other tenants' tasks would still have to wait for when
  // `cost` more of this load is done.
  double CostBehind(const Load& load, double cost) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  double EstimatedSeconds(double cost) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status CheckRoom(const TaskFacts& task, const Load& load) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status CheckShare(const TaskFacts& task, const Load& load) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status CheckNotDraining() const ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  absl::Status CheckDeadline(const TaskFacts& task, const Load& load,
                             TimePoint now) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Publish(Tenant* tenant, const Load& load) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const AdmissionLimits limits_;
  EngineMetrics& metrics_;

  mutable absl::Mutex mutex_;
  bool is_draining_ ABSL_GUARDED_BY(mutex_) = false;
  int64_t queued_tasks_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t queued_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t admitted_tasks_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  // Work that is queued or running and not yet done.
  double pending_cost_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<Load> loads_ ABSL_GUARDED_BY(mutex_);  // By tenant's number.
  // Work and time of the workers lately, older ones weighing less: their
  // quotient is the rate, in which a slow first item counts for what it was.
  double recent_cost_ ABSL_GUARDED_BY(mutex_) = 0;
  double recent_seconds_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace attn
