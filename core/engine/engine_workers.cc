// What the engine's workers do: wait for a batch or form it, claim its items,
// run them.
#include <utility>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "core/base/status_macros.h"
#include "core/base/thread_priority.h"
#include "core/engine/engine.h"
#include "core/engine/float_mode.h"

namespace attn {
namespace {

// Workers yield to the threads that parse, answer and report health. On 2 CPUs
// under 64 clients the median health check took 1.5 ms without and 0.2 ms with
// it, and after the first burst all but a few percent end within 10 ms.
constexpr int kWorkerNice = 10;

// Lets the other thread of the core, and who must be heard of, go first.
void CpuRelax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
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

}  // namespace

void Engine::Work() {
  gemm_->ConfineToCallingThread();
  FlushDenormals();
  LowerThreadPriority(kWorkerNice);
  WarmUp(*gemm_);
  Worker worker;
  while (const WorkItem* item = NextItem(worker)) {
    metrics_.WorkersBusyChanged(+1);
    RunItem(*item, worker);
    metrics_.WorkersBusyChanged(-1);
    QueueSteps(worker.next);
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
  worker.gathered.Forget();
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
  const int64_t batch_number = ++num_batches_;
  for (const TaskPtr& task : batch->tasks) {
    auto& engine_task = static_cast<EngineTask&>(*task);
    admission_.Started(engine_task.ticket());
    engine_task.batch_size_ = facts.num_tasks;
    engine_task.batch_number_ = batch_number;
    facts.num_query_tokens += task->facts().num_query_tokens;
  }
  SharedBatch* active = TakeIdleBatch();
  active->batch.Fill(*std::move(batch));
  facts.form_time = clock_.Now() - start;
  metrics_.BatchClosed(facts);
  absl::MutexLock lock(&mutex_);
  active_ = active;
}

void Engine::RunItem(const WorkItem& item, Worker& worker) {
  if (item.projection != nullptr) {
    RunProjectionItem(item, worker);
  } else if (!item.group.empty()) {
    RunGroupItem(item, worker);
  } else {
    RunTaskItem(item, worker);
  }
}

void Engine::RunTaskItem(const WorkItem& item, Worker& worker) {
  EngineTask& task = *item.task;
  const TimePoint start = clock_.Now();
  if (StartItem(task, start)) {
    const absl::Status status = RunUnits(item, worker.arena);
    if (!status.ok()) task.verdict_.Decide(Outcome::kFailed);
    admission_.WorkedOff(task.ticket(), item.cost, clock_.Now() - start);
  }
  FinishItem(task, worker);
}

// A task that is late or cancelled leaves the group; the others go on.
void Engine::RunGroupItem(const WorkItem& item, Worker& worker) {
  const TimePoint start = clock_.Now();
  absl::InlinedVector<TaskUnit, 16> units;
  for (const TaskUnit& unit : item.group) {
    if (StartItem(*unit.task, start)) units.push_back(unit);
  }
  if (!units.empty()) {
    const absl::Status status = RunGroup(units, worker.arena);
    const auto num_units = static_cast<int64_t>(units.size());
    const Duration time = (clock_.Now() - start) / num_units;
    const double cost = item.cost / static_cast<double>(item.group.size());
    for (const TaskUnit& unit : units) {
      if (!status.ok()) unit.task->verdict_.Decide(Outcome::kFailed);
      admission_.WorkedOff(unit.task->ticket(), cost, time);
    }
  }
  for (const TaskUnit& unit : item.group) FinishItem(*unit.task, worker);
}

// Rows of tasks that are late or cancelled are computed with the others, unless
// there are no others.
void Engine::RunProjectionItem(const WorkItem& item, Worker& worker) {
  const ProjectionTile& tile = *item.projection->tile;
  const TimePoint start = clock_.Now();
  bool is_wanted = false;
  for (const RowSlice& slice : tile.slices) {
    is_wanted |= StartItem(*slice.task, start);
  }
  if (is_wanted) {
    const absl::Status status =
        RunProjection(*item.projection, worker.gathered, worker.arena);
    const Duration time = clock_.Now() - start;
    metrics_.ProjectionRan(time);
    for (const RowSlice& slice : tile.slices) {
      if (!status.ok()) slice.task->verdict_.Decide(Outcome::kFailed);
      admission_.WorkedOff(slice.task->ticket(),
                           item.cost * static_cast<double>(slice.num_rows) /
                               static_cast<double>(tile.num_rows),
                           time * slice.num_rows / tile.num_rows);
    }
  }
  for (const RowSlice& slice : tile.slices) FinishItem(*slice.task, worker);
}

// False if the task is late, or ended already.
bool Engine::StartItem(EngineTask& task, TimePoint now) {
  int64_t unset = 0;
  task.start_ns_.compare_exchange_strong(unset, now.time_since_epoch().count());
  if (task.facts().deadline <= now) task.verdict_.Decide(Outcome::kExpired);
  return !task.verdict_.is_decided();
}

void Engine::FinishItem(EngineTask& task, Worker& worker) {
  if (task.items_left_.fetch_sub(1) == 1) Conclude(task, worker.next);
}

absl::Status Engine::RunUnits(const WorkItem& item, ScratchArena& arena) {
  for (int64_t unit = item.first_unit; unit < item.last_unit; ++unit) {
    auto& task = static_cast<AttentionTask&>(*item.task);
    ATTN_RETURN_IF_ERROR(task.RunUnit(unit, *gemm_, arena));
  }
  return absl::OkStatus();
}

}  // namespace attn
