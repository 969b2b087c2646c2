#include "core/engine/engine.h"

#include <algorithm>
#include <utility>

#include "absl/container/inlined_vector.h"
#include "core/base/check.h"
#include "core/base/cpu_affinity.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/base/thread_priority.h"
#include "core/engine/float_mode.h"
#include "core/engine/task_cost.h"

namespace attn {
namespace {

// Workers yield to the threads that parse, answer and report health. On 2 CPUs
// under 64 clients the median health check took 1.5 ms without and 0.2 ms with
// it, and after the first burst all but a few percent end within 10 ms.
constexpr int kWorkerNice = 10;

// Tasks whose memory is kept for the next ones: about 1 KiB each.
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
                                                   : TaskKind::kPrefill};
}

// Lets the other thread of the core, and who must be heard of, go first.
void CpuRelax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
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

// The library compiles its kernels at their first use, which takes tens of
// milliseconds that no request should pay. Failures show at the first request.
void WarmUp(const TileGemm& gemm) {
  constexpr int64_t kSide = 64;
  const std::vector<float> ones(kSide * kSide, 1.0f);
  std::vector<float> product(kSide * kSide);
  for (const int64_t m : {int64_t{1}, int64_t{8}, kSide}) {
    for (const bool accumulate : {false, true}) {
      (void)gemm.Multiply({.m = m,
                           .n = kSide,
                           .k = kSide,
                           .lda = kSide,
                           .ldb = kSide,
                           .ldc = kSide},
                          ones.data(), ones.data(), product.data(), accumulate);
    }
  }
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
}

absl::StatusOr<AttentionTaskPtr> Engine::Prepare(AttentionPlan plan,
                                                 const SubmitOptions& options) {
  const TaskFacts facts = FactsOf(plan, options);
  ATTN_ASSIGN_OR_RETURN(AdmissionTicket ticket,
                        admission_.Admit(facts, clock_.Now()));
  const auto lease = [&](int64_t bytes) -> absl::StatusOr<PooledBuffer> {
    auto buffer = pool_.Lease(bytes);
    if (buffer.ok()) return buffer;
    return PoolFull(buffer.status(), admission_.EstimatedWait());
  };
  AttentionTask::Buffers buffers;
  ATTN_ASSIGN_OR_RETURN(buffers.inputs, lease(AttentionTask::InputBytes(plan)));
  ATTN_ASSIGN_OR_RETURN(buffers.reply, lease(AttentionTask::ReplyBytes(plan)));
  return std::allocate_shared<AttentionTask>(
      BlockAllocator<AttentionTask>(task_memory_), std::move(plan), facts,
      std::move(ticket), std::move(buffers));
}

void Engine::Enqueue(Submission submission) {
  metrics_.TaskAdmitted();
  submission.task->done_ = std::move(submission.done);
  {
    absl::MutexLock lock(&mutex_);
    ++in_house_;
  }
  scheduler_.Schedule(std::move(submission.task), clock_.Now());
}

void Engine::Submit(const AttentionTaskPtr& task, Done done) {
  Enqueue({task, std::move(done)});
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

void Engine::Cancel(const AttentionTaskPtr& task) {
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
    static_cast<AttentionTask&>(*task).verdict_.Decide(Outcome::kShed);
  }
}

void Engine::Work() {
  gemm_->ConfineToCallingThread();
  FlushDenormals();
  LowerThreadPriority(kWorkerNice);
  WarmUp(*gemm_);
  Worker worker;
  while (const WorkItem* item = NextItem(worker)) {
    metrics_.WorkersBusyChanged(+1);
    if (item->group.empty()) {
      RunItem(*item, worker.arena);
    } else {
      RunGroupItem(*item, worker.arena);
    }
    metrics_.WorkersBusyChanged(-1);
  }
}

const WorkItem* Engine::NextItem(Worker& worker) {
  for (;;) {
    if (worker.batch != nullptr) {
      if (const WorkItem* item = worker.batch->batch.Claim()) return item;
      DropBatch(worker);
    }
    if (!AwaitBatch(worker)) return nullptr;
  }
}

// Lets go of a batch without unclaimed items: replies that its tasks hold must
// not wait for the next batch to come.
void Engine::DropBatch(Worker& worker) {
  SharedBatch* batch = std::exchange(worker.batch, nullptr);
  {
    absl::MutexLock lock(&mutex_);
    if (active_ == batch) active_ = nullptr;
    if (--batch->num_users > 0) return;
  }
  batch->batch.Clear();
  absl::MutexLock lock(&mutex_);
  idle_batches_.push_back(batch);
}

Engine::SharedBatch* Engine::TakeIdleBatch() {
  absl::MutexLock lock(&mutex_);
  if (idle_batches_.empty()) {
    batches_.push_back(std::make_unique<SharedBatch>());
    idle_batches_.reserve(batches_.size());
    return batches_.back().get();
  }
  SharedBatch* batch = idle_batches_.back();
  idle_batches_.pop_back();
  return batch;
}

// Gets the worker a batch with unclaimed items, forming it where none is left.
// False at the end.
bool Engine::AwaitBatch(Worker& worker) {
  absl::MutexLock lock(&mutex_);
  for (;;) {
    if (active_ != nullptr && active_->batch.HasUnclaimed()) {
      worker.batch = active_;
      ++active_->num_users;
      return true;
    }
    if (is_stopping_) return false;
    const std::optional<TimePoint> ready = scheduler_.ReadyTime();
    if (is_forming_ || !ready.has_value()) {
      if (!SpinForWork()) work_.Wait(&mutex_);
      continue;
    }
    const Duration wait = *ready - clock_.Now();
    if (wait > Duration{}) {
      work_.WaitWithTimeout(&mutex_, absl::FromChrono(wait));
      continue;
    }
    is_forming_ = true;
    mutex_.Unlock();
    FormBatch();
    mutex_.Lock();
    is_forming_ = false;
    ++num_events_;
    WakeOthers();
  }
}

// Whether something came while the worker looked, without the lock, for no
// longer than it may.
bool Engine::SpinForWork() {
  if (max_spin_ == Duration{}) return false;
  const int64_t seen = num_events_;
  mutex_.Unlock();
  const TimePoint end = clock_.Now() + max_spin_;
  while (num_events_ == seen && clock_.Now() < end) CpuRelax();
  mutex_.Lock();
  return num_events_ != seen;
}

// Wakes those that have something to do beside the calling worker, and no
// others: a wake-up costs more than a small item.
void Engine::WakeOthers() {
  // For the items beyond the caller's own, and for what was queued meanwhile.
  auto wanted = active_ == nullptr ? 0 : std::ssize(active_->batch.items()) - 1;
  if (scheduler_.size() > 0) ++wanted;
  if (wanted > 1) {
    work_.SignalAll();
  } else if (wanted == 1) {
    work_.Signal();
  }
}

// Takes the next batch from the queue and publishes it. Without the lock:
// expired tasks call back from here.
void Engine::FormBatch() {
  const TimePoint start = clock_.Now();
  std::vector<TaskPtr> expired;
  std::optional<Batch> batch = scheduler_.TakeBatch(start, expired);
  for (const TaskPtr& task : expired) EndQueued(task, Outcome::kExpired);
  if (!batch.has_value()) return;
  BatchFacts facts{.num_tasks = static_cast<int64_t>(batch->tasks.size()),
                   .closed_by = batch->closed_by};
  for (const TaskPtr& task : batch->tasks) {
    auto& attention_task = static_cast<AttentionTask&>(*task);
    admission_.Started(attention_task.ticket_);
    attention_task.batch_size_ = facts.num_tasks;
    facts.num_query_tokens += task->facts().num_query_tokens;
  }
  SharedBatch* active = TakeIdleBatch();
  active->batch.Fill(*std::move(batch));
  facts.form_time = clock_.Now() - start;
  metrics_.BatchClosed(facts);
  absl::MutexLock lock(&mutex_);
  active_ = active;
}

void Engine::RunItem(const WorkItem& item, ScratchArena& arena) {
  AttentionTask& task = *item.task;
  const TimePoint start = clock_.Now();
  if (StartItem(task, start)) {
    if (const absl::Status status = RunUnits(item, arena); !status.ok()) {
      task.verdict_.Decide(Outcome::kFailed);
    }
    admission_.WorkedOff(task.ticket_, item.cost, clock_.Now() - start);
  }
  FinishItem(task);
}

// A task that is late or cancelled leaves the group; the others go on.
void Engine::RunGroupItem(const WorkItem& item, ScratchArena& arena) {
  const TimePoint start = clock_.Now();
  absl::InlinedVector<TaskUnit, 16> units;
  for (const TaskUnit& unit : item.group) {
    if (StartItem(*unit.task, start)) units.push_back(unit);
  }
  if (!units.empty()) {
    const absl::Status status = RunGroup(units, arena);
    const auto num_units = static_cast<int64_t>(units.size());
    const Duration time = (clock_.Now() - start) / num_units;
    const double cost = item.cost / static_cast<double>(item.group.size());
    for (const TaskUnit& unit : units) {
      if (!status.ok()) unit.task->verdict_.Decide(Outcome::kFailed);
      admission_.WorkedOff(unit.task->ticket_, cost, time);
    }
  }
  for (const TaskUnit& unit : item.group) FinishItem(*unit.task);
}

// False if the task is late, or ended already.
bool Engine::StartItem(AttentionTask& task, TimePoint now) {
  int64_t unset = 0;
  task.start_ns_.compare_exchange_strong(unset, now.time_since_epoch().count());
  if (task.facts().deadline <= now) task.verdict_.Decide(Outcome::kExpired);
  return !task.verdict_.is_decided();
}

void Engine::FinishItem(AttentionTask& task) {
  if (task.items_left_.fetch_sub(1) == 1) Conclude(task);
}

absl::Status Engine::RunUnits(const WorkItem& item, ScratchArena& arena) {
  for (int64_t unit = item.first_unit; unit < item.last_unit; ++unit) {
    ATTN_RETURN_IF_ERROR(item.task->RunUnit(unit, *gemm_, arena));
  }
  return absl::OkStatus();
}

// A task that never reached a worker ends.
void Engine::EndQueued(const TaskPtr& task, Outcome outcome) {
  auto& attention_task = static_cast<AttentionTask&>(*task);
  attention_task.verdict_.Decide(outcome);
  Conclude(attention_task);
}

// The end of every task, exactly once: books first, so that a client that has
// its answer finds it counted.
void Engine::Conclude(AttentionTask& task) {
  task.verdict_.Decide(Outcome::kCompleted);
  const Outcome outcome = task.verdict_.outcome();
  const TimePoint now = clock_.Now();
  const TimePoint start =
      task.start_ns_ == 0 ? now : TimePoint(Duration(task.start_ns_.load()));
  task.times_ = {.queue_wait = start - task.enqueue_time(),
                 .compute = now - start};
  task.status_ = StatusOf(outcome);
  task.buffers_.inputs = PooledBuffer();
  task.snapshot_ = KvSnapshot();
  task.ticket_ = AdmissionTicket();
  if (outcome == Outcome::kShed) metrics_.TaskShed(Reason::kDraining);
  metrics_.TaskFinished(outcome, task.facts().kind, task.times_);
  std::exchange(task.done_, nullptr)(task);
  absl::MutexLock lock(&mutex_);
  if (--in_house_ == 0) idle_.SignalAll();
}

}  // namespace attn
