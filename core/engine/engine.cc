#include "core/engine/engine.h"

#include <algorithm>
#include <utility>

#include "core/base/check.h"
#include "core/base/cpu_affinity.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/engine/task_cost.h"

namespace attn {
namespace {

// Tasks whose memory is kept for the next ones: 1.3 KiB each.
constexpr size_t kKeptTasks = 1024;

TaskFacts FactsOf(const AttentionPlan& plan, const SubmitOptions& options) {
  const Geometry& g = plan.geometry;
  return {.priority = options.priority,
          .deadline = options.deadline,
          .bytes =
              AttentionTask::InputBytes(plan) + AttentionTask::ReplyBytes(plan),
          .cost = EstimateCost(plan),
          .num_query_tokens = g.q_len == 0 ? 0 : g.batch_size * g.q_len,
          .kind = g.q_len <= kMaxDecodeQueryLength ? TaskKind::kDecode
                                                   : TaskKind::kPrefill,
          .tenant = options.tenant};
}

absl::Status StatusOf(Outcome outcome) {
  switch (outcome) {
    case Outcome::kCompleted:
      return absl::OkStatus();
    case Outcome::kExpired:
      return absl::DeadlineExceededError("the deadline passed");
    case Outcome::kCancelled:
      return absl::CancelledError("the client went away");
    case Outcome::kShed:
      return MakeError(absl::StatusCode::kUnavailable, Reason::kDraining,
                       "the server shut down before the request was done");
    case Outcome::kFailed:
      break;
  }
  return absl::InternalError("the computation failed");
}

// Without room the pool speaks of bytes; the client must hear QUEUE_FULL.
absl::Status PoolFull(const absl::Status& status, Duration wait) {
  const auto message = status.message();
  return QueueFull({message.data(), message.size()},
                   std::max<Duration>(wait, std::chrono::milliseconds(1)));
}

}  // namespace

Engine::Engine(const EngineOptions& options, std::unique_ptr<TileGemm> gemm,
               const Clock& clock, EngineMetrics& metrics)
    : clock_(clock),
      metrics_(metrics),
      gemm_(std::move(gemm)),
      max_spin_(options.max_spin),
      pool_(options.max_pool_bytes),
      task_memory_(std::make_shared<BlockPool>(kKeptTasks)),
      admission_(options.admission, metrics),
      scheduler_(options.batching) {
  ATTN_CHECK(options.num_workers >= 1);
  for (int i = 0; i < options.num_workers; ++i) {
    workers_.emplace_back([this, i, pins = options.pins_workers] {
      if (pins) PinToCpu(i);
      Work();
    });
  }
}

Engine::~Engine() {
  StartDraining();
  Abort();
  {
    absl::MutexLock lock(&mutex_);
    is_stopping_ = true;
    ++num_events_;
    work_.SignalAll();
  }
  for (std::thread& worker : workers_) worker.join();
  Abort();  // Steps that followed those that ran meanwhile.
}

absl::StatusOr<AdmissionTicket> Engine::AdmitJob(const TaskFacts& facts) {
  return admission_.Admit(facts, clock_.Now());
}

absl::StatusOr<PooledBuffer> Engine::LeaseMemory(int64_t bytes) {
  auto buffer = pool_.Lease(bytes);
  if (buffer.ok()) return buffer;
  return PoolFull(buffer.status(), admission_.EstimatedWait());
}

absl::StatusOr<AttentionTaskPtr> Engine::Prepare(AttentionPlan plan,
                                                 const SubmitOptions& options) {
  const TaskFacts facts = FactsOf(plan, options);
  AdmissionTicket ticket;
  if (options.job_ticket == nullptr) {
    ATTN_ASSIGN_OR_RETURN(ticket, AdmitJob(facts));
  }
  AttentionTask::Buffers buffers;
  ATTN_ASSIGN_OR_RETURN(buffers.inputs,
                        LeaseMemory(AttentionTask::InputBytes(plan)));
  ATTN_ASSIGN_OR_RETURN(buffers.reply,
                        LeaseMemory(AttentionTask::ReplyBytes(plan)));
  return std::allocate_shared<AttentionTask>(
      BlockAllocator<AttentionTask>(task_memory_), std::move(plan), facts,
      std::move(ticket), std::move(buffers), options.job_ticket);
}

void Engine::Enqueue(Submission submission) {
  if (!submission.task->is_step()) metrics_.TaskAdmitted();
  {
    absl::MutexLock lock(&mutex_);
    ++in_house_;
  }
  Queue(std::move(submission));
}

void Engine::Queue(Submission submission) {
  submission.task->done_ = std::move(submission.done);
  submission.task->next_ = std::move(submission.next);
  scheduler_.Schedule(std::move(submission.task), clock_.Now());
}

// Together, so that they share a batch. They are in the house since their jobs'
// first steps.
void Engine::QueueSteps(std::vector<Submission>& steps) {
  if (steps.empty()) return;
  for (Submission& step : steps) Queue(std::move(step));
  steps.clear();
  absl::MutexLock lock(&mutex_);
  ++num_events_;
  work_.Signal();
}

void Engine::Submit(const EngineTaskPtr& task, Done done) {
  Enqueue({.task = task, .done = std::move(done)});
  absl::MutexLock lock(&mutex_);
  ++num_events_;
  work_.Signal();
}

void Engine::SubmitTogether(std::vector<Submission> submissions) {
  if (submissions.empty()) return;
  for (Submission& submission : submissions) Enqueue(std::move(submission));
  absl::MutexLock lock(&mutex_);
  ++num_events_;
  work_.Signal();
}

void Engine::Cancel(const EngineTaskPtr& task) {
  const bool is_late = task->facts().deadline <= clock_.Now();
  const Outcome outcome = is_late ? Outcome::kExpired : Outcome::kCancelled;
  if (scheduler_.Remove(task)) {
    EndQueued(task, outcome);
  } else {
    task->verdict_.Decide(outcome);
  }
}

void Engine::CountRefusal(const absl::Status& status) {
  metrics_.TaskRefused(ReasonOf(status));
}

void Engine::StartDraining() {
  admission_.StartDraining();
  scheduler_.StartDraining();
  absl::MutexLock lock(&mutex_);
  ++num_events_;
  work_.SignalAll();
}

bool Engine::AwaitIdle(TimePoint deadline) {
  absl::MutexLock lock(&mutex_);
  while (in_house_ > 0) {
    const Duration left = deadline - clock_.Now();
    if (left <= Duration{}) return false;
    idle_.WaitWithTimeout(&mutex_, absl::FromChrono(left));
  }
  return true;
}

void Engine::Abort() {
  for (const TaskPtr& task : scheduler_.TakeAll()) {
    EndQueued(task, Outcome::kShed);
  }
  absl::MutexLock lock(&mutex_);
  if (active_ == nullptr) return;
  for (const TaskPtr& task : active_->batch.tasks()) {
    static_cast<EngineTask&>(*task).verdict_.Decide(Outcome::kShed);
  }
}

// A task that never reached a worker ends.
void Engine::EndQueued(const TaskPtr& task, Outcome outcome) {
  auto& engine_task = static_cast<EngineTask&>(*task);
  engine_task.verdict_.Decide(outcome);
  std::vector<Submission> next;  // A job ends with a step that failed.
  Conclude(engine_task, next);
  ATTN_CHECK(next.empty());
}

void Engine::CountEnd(Outcome outcome, TaskKind kind, const TaskTimes& times) {
  if (outcome == Outcome::kShed) metrics_.TaskShed(Reason::kDraining);
  metrics_.TaskFinished(outcome, kind, times);
}

// The end of every task, exactly once: books first, so that a client that has
// its answer finds it counted.
void Engine::Conclude(EngineTask& task, std::vector<Submission>& next) {
  task.verdict_.Decide(Outcome::kCompleted);
  const Outcome outcome = task.verdict_.outcome();
  const TimePoint now = clock_.Now();
  const TimePoint start =
      task.start_ns_ == 0 ? now : TimePoint(Duration(task.start_ns_.load()));
  task.times_ = {.queue_wait = start - task.enqueue_time(),
                 .compute = now - start};
  task.status_ = StatusOf(outcome);
  task.ReleaseInputs();
  task.ticket_ = AdmissionTicket();
  if (!task.is_step()) CountEnd(outcome, task.facts().kind, task.times_);
  if (task.next_ != nullptr) {
    auto step = std::exchange(task.next_, nullptr)(task);
    if (step.has_value()) return next.push_back(*std::move(step));
  } else {
    std::exchange(task.done_, nullptr)(task);
  }
  absl::MutexLock lock(&mutex_);
  if (--in_house_ == 0) idle_.SignalAll();
}

}  // namespace attn
