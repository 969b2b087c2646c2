// What the engine tells the outside about its work. The engine calls this
// interface at each step of a task's life; the server's implementation turns
// the calls into Prometheus metrics (server/prometheus_metrics.h), tests count
// them.
//
// The ledger: every admitted task ends in exactly one Outcome, so that
// admitted = completed + failed + shed + expired + cancelled once idle. A
// refused request never becomes a task.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/base/clock.h"
#include "core/base/error.h"

namespace attn {

// Decode: few query rows (q_len <= kMaxDecodeQueryLength) against many keys.
enum class TaskKind { kPrefill, kDecode };
inline constexpr int64_t kMaxDecodeQueryLength = 8;

enum class Outcome { kCompleted, kFailed, kShed, kExpired, kCancelled };

// Why a batch stopped taking tasks.
enum class ClosedBy {
  kIdleWorker,  // A worker had nothing to do and took what was there.
  kFull,        // The batch reached its bound in tasks or estimated time.
  kDelay,       // --max-batch-delay passed.
  kDrain,       // The engine is shutting down.
};

// One task's life in time.
struct TaskTimes {
  Duration queue_wait{};  // Admission to its first work item or its end.
  Duration compute{};     // First work item's start to the last one's end.
};

struct BatchFacts {
  int64_t num_tasks = 0;
  int64_t num_query_tokens = 0;  // Sum over tasks of B * q_len.
  Duration form_time{};          // Time the scheduler spent forming it.
  ClosedBy closed_by = ClosedBy::kIdleWorker;
};

// Thread-safe: called from any thread, must not block.
class EngineMetrics {
 public:
  virtual ~EngineMetrics() = default;

  virtual void TaskAdmitted() = 0;
  // Refused at the door; `reason` is kQueueFull, kDeadlineUnreachable,
  // kDraining, or one of the invalid ones.
  virtual void TaskRefused(Reason reason) = 0;
  // Dropped after admission although its client still wanted it.
  virtual void TaskShed(Reason reason) = 0;
  virtual void TaskFinished(Outcome outcome, TaskKind kind,
                            const TaskTimes& times) = 0;
  virtual void BatchClosed(const BatchFacts& facts) = 0;
  // One work item of a layer's projections, on one worker.
  virtual void ProjectionRan(Duration time) = 0;
  // Rows of hidden states that went through a layer, B * q_len.
  virtual void ForwardTokens(std::string_view layer, int64_t num_tokens) = 0;

  // Gauges, as their new values.
  virtual void QueueChanged(int64_t depth, int64_t bytes) = 0;
  virtual void InflightBytesChanged(int64_t bytes) = 0;
  virtual void WorkersBusyChanged(int64_t delta) = 0;
};

// Counts nothing.
class NullEngineMetrics final : public EngineMetrics {
 public:
  void TaskAdmitted() override {}
  void TaskRefused(Reason) override {}
  void TaskShed(Reason) override {}
  void TaskFinished(Outcome, TaskKind, const TaskTimes&) override {}
  void BatchClosed(const BatchFacts&) override {}
  void ProjectionRan(Duration) override {}
  void ForwardTokens(std::string_view, int64_t) override {}
  void QueueChanged(int64_t, int64_t) override {}
  void InflightBytesChanged(int64_t) override {}
  void WorkersBusyChanged(int64_t) override {}
};

}  // namespace attn
