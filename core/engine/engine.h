// The engine composes everything: it admits requests, gives them memory, queues
// them, lets workers run them batch by batch, and says when each is done.
//
// Threads: callers of Prepare, Submit and Cancel never compute; N workers do
// nothing else. While one batch runs the next one forms; a worker that finds no
// unclaimed item takes the next batch at once.
//
// Promises: the bytes of a result are a function of its request alone; a late,
// cancelled or failing task never fails or delays its neighbours.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "core/attention/tile_gemm.h"
#include "core/base/clock.h"
#include "core/batching/admission.h"
#include "core/batching/batch_scheduler.h"
#include "core/engine/active_batch.h"
#include "core/engine/attention_task.h"
#include "core/engine/projection_batch.h"
#include "core/memory/block_pool.h"
#include "core/memory/buffer_pool.h"
#include "core/metrics/engine_metrics.h"

namespace attn {

struct EngineOptions {
  // Compute threads. REQUIRES: at least 1.
  int num_workers = 1;
  // Keeps worker i on the i-th usable CPU, counted round.
  bool pins_workers = false;
  // How long a worker without work looks for more before it sleeps: saves the
  // time of a wake-up, and burns a CPU that others may want.
  Duration max_spin{};
  AdmissionLimits admission;
  BatchLimits batching;
  // Bound of all tensor memory, queued, running and being sent. REQUIRES: room
  // for the largest request and its reply.
  int64_t max_pool_bytes = int64_t{2} << 30;
};

// What a request asks of the queue.
struct SubmitOptions {
  Priority priority = Priority::kNormal;
  TimePoint deadline = kNoDeadline;
  // Whose request it is, who must outlive its task; null: everybody's.
  Tenant* tenant = nullptr;
  // Of the job that the task is a step of, which was admitted before, must
  // outlive it and counts it; null: the task is admitted for itself.
  AdmissionTicket* job_ticket = nullptr;
};

// Thread-safe.
class Engine {
 public:
  using Done = TaskDone;

  // Borrows clock and metrics, which must outlive the engine. Starts the
  // workers.
  Engine(const EngineOptions& options, std::unique_ptr<TileGemm> gemm,
         const Clock& clock, EngineMetrics& metrics);
  // Aborts what is left and joins the workers.
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Admits the request and takes memory for its tensors, which the caller then
  // copies in. A task that is dropped without Submit leaves no trace.
  // Errors: those of Admission::Admit; RESOURCE_EXHAUSTED / QUEUE_FULL when the
  // pool has no memory.
  absl::StatusOr<AttentionTaskPtr> Prepare(AttentionPlan plan,
                                           const SubmitOptions& options);

  // Queues the task. `done` is called when it ended; task.status() is then OK,
  // DEADLINE_EXCEEDED, CANCELLED, UNAVAILABLE (aborted) or INTERNAL.
  void Submit(const EngineTaskPtr& task, Done done);

  // The same for several that shall run together, if they can: no idle worker
  // takes the first before the last is there.
  using Submission = TaskSubmission;
  void SubmitTogether(std::vector<Submission> submissions);

  // The client left: a queued task ends at once, a running one at its next work
  // item. No effect on a task that is done.
  void Cancel(const EngineTaskPtr& task);

  // For jobs, of which each step is a task: a place in the house, and memory.
  // Errors: Prepare's.
  absl::StatusOr<AdmissionTicket> AdmitJob(const TaskFacts& facts);
  absl::StatusOr<PooledBuffer> LeaseMemory(int64_t bytes);

  // Tells the metrics of an end; of a job, whose steps are not counted.
  void CountEnd(Outcome outcome, TaskKind kind, const TaskTimes& times);

  // UNAVAILABLE / DRAINING once the drain began; for calls that are no tasks.
  absl::Status CheckServing() const { return admission_.CheckOpen(); }

  // Counts a request that was refused before Prepare, or by it.
  void CountRefusal(const absl::Status& status);

  // Drain, step by step: refuse new requests; wait until all ended (false: not
  // by the deadline); end what is left as shed.
  void StartDraining();
  bool AwaitIdle(TimePoint deadline);
  void Abort();

  const TileGemm& gemm() const { return *gemm_; }
  const Admission& admission() const { return admission_; }
  const BufferPool& pool() const { return pool_; }
  EngineMetrics& metrics() const { return metrics_; }
  const Clock& clock() const { return clock_; }
  int num_workers() const { return static_cast<int>(workers_.size()); }

 private:
  // A batch and how many workers run its items: when none is left, it is
  // cleared and waits for other tasks.
  struct SharedBatch {
    ActiveBatch batch;
    int num_users = 0;  // Guarded by mutex_.
  };
  // A worker's way through one batch after another.
  struct Worker {
    ScratchArena arena;
    GatheredRows gathered;
    SharedBatch* batch = nullptr;
    // Steps that follow those that an item ended.
    std::vector<Submission> next;
  };

  void Enqueue(Submission submission);
  void Work();
  const WorkItem* NextItem(Worker& worker);
  void DropBatch(Worker& worker);
  SharedBatch* TakeIdleBatch();
  bool AwaitBatch(Worker& worker);
  void FormBatch();
  bool SpinForWork() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void WakeOthers() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Queue(Submission submission);
  void QueueSteps(std::vector<Submission>& steps);
  void RunItem(const WorkItem& item, Worker& worker);
  void RunTaskItem(const WorkItem& item, Worker& worker);
  void RunGroupItem(const WorkItem& item, Worker& worker);
  void RunProjectionItem(const WorkItem& item, Worker& worker);
  absl::Status RunUnits(const WorkItem& item, ScratchArena& arena);
  bool StartItem(EngineTask& task, TimePoint now);
  void FinishItem(EngineTask& task, Worker& worker);
  void Conclude(EngineTask& task, std::vector<Submission>& next);
  void EndQueued(const TaskPtr& task, Outcome outcome);

  const Clock& clock_;
  EngineMetrics& metrics_;
  const std::unique_ptr<TileGemm> gemm_;
  const Duration max_spin_;

  BufferPool pool_;
  const std::shared_ptr<BlockPool> task_memory_;
  Admission admission_;
  BatchScheduler scheduler_;

  absl::Mutex mutex_;
  absl::CondVar work_;  // A task was queued, a batch published, or the end.
  absl::CondVar idle_;  // in_house_ became 0.
  // The newest batch, until a worker finds all of its items claimed.
  SharedBatch* active_ ABSL_GUARDED_BY(mutex_) = nullptr;
  // Every batch there is, and those of them that are clear.
  std::vector<std::unique_ptr<SharedBatch>> batches_ ABSL_GUARDED_BY(mutex_);
  std::vector<SharedBatch*> idle_batches_ ABSL_GUARDED_BY(mutex_);
  bool is_forming_ ABSL_GUARDED_BY(mutex_) = false;
  bool is_stopping_ ABSL_GUARDED_BY(mutex_) = false;
  int64_t in_house_ ABSL_GUARDED_BY(mutex_) = 0;  // Submitted, not done.
  // Counts what workers wait for; for those that spin.
  std::atomic<int64_t> num_events_{0};
  std::atomic<int64_t> num_batches_{0};  // Formed so far.

  std::vector<std::thread> workers_;  // Last: they use everything above.
};

}  // namespace attn
