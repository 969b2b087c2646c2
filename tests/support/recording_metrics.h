// Counts what the engine reports, so that tests can check the books.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "core/metrics/engine_metrics.h"

namespace attn::test {

// Thread-safe.
class RecordingMetrics final : public EngineMetrics {
 public:
  void TaskAdmitted() override {
    absl::MutexLock lock(&mutex_);
    ++admitted_;
  }
  void TaskRefused(Reason reason) override {
    absl::MutexLock lock(&mutex_);
    ++refused_[reason];
  }
  void TaskShed(Reason reason) override {
    absl::MutexLock lock(&mutex_);
    ++shed_[reason];
  }
  void TaskFinished(Outcome outcome, TaskKind kind, const TaskTimes&) override {
    absl::MutexLock lock(&mutex_);
    ++finished_[outcome];
    ++kinds_[kind];
  }
  void BatchClosed(const BatchFacts& facts) override {
    absl::MutexLock lock(&mutex_);
    batches_.push_back(facts);
  }
  void ProjectionRan(Duration) override {
    absl::MutexLock lock(&mutex_);
    ++projections_;
  }
  void ForwardTokens(std::string_view layer, int64_t num_tokens) override {
    absl::MutexLock lock(&mutex_);
    forward_tokens_[std::string(layer)] += num_tokens;
  }
  void QueueChanged(int64_t depth, int64_t bytes) override {
    absl::MutexLock lock(&mutex_);
    queue_depth_ = depth;
    queue_bytes_ = bytes;
  }
  void InflightBytesChanged(int64_t bytes) override {
    absl::MutexLock lock(&mutex_);
    inflight_bytes_ = bytes;
  }
  void WorkersBusyChanged(int64_t delta) override {
    absl::MutexLock lock(&mutex_);
    workers_busy_ += delta;
  }

  int64_t admitted() const { return Get(admitted_); }
  int64_t refused(Reason reason) const { return Count(refused_, reason); }
  int64_t shed(Reason reason) const { return Count(shed_, reason); }
  int64_t finished(Outcome outcome) const { return Count(finished_, outcome); }
  int64_t finished(TaskKind kind) const { return Count(kinds_, kind); }
  // Over all outcomes.
  int64_t finished() const {
    absl::MutexLock lock(&mutex_);
    int64_t sum = 0;
    for (const auto& [outcome, count] : finished_) sum += count;
    return sum;
  }
  std::vector<BatchFacts> batches() const { return Get(batches_); }
  int64_t projections() const { return Get(projections_); }
  std::map<std::string, int64_t> forward_tokens() const {
    return Get(forward_tokens_);
  }
  int64_t queue_depth() const { return Get(queue_depth_); }
  int64_t queue_bytes() const { return Get(queue_bytes_); }
  int64_t inflight_bytes() const { return Get(inflight_bytes_); }
  int64_t workers_busy() const { return Get(workers_busy_); }

 private:
  template <typename T>
  T Get(const T& member) const {
    absl::MutexLock lock(&mutex_);
    return member;
  }
  template <typename Key>
  int64_t Count(const std::map<Key, int64_t>& counts, Key key) const {
    absl::MutexLock lock(&mutex_);
    const auto it = counts.find(key);
    return it == counts.end() ? 0 : it->second;
  }

  mutable absl::Mutex mutex_;
  int64_t admitted_ = 0;
  std::map<Reason, int64_t> refused_;
  std::map<Reason, int64_t> shed_;
  std::map<Outcome, int64_t> finished_;
  std::map<TaskKind, int64_t> kinds_;
  std::vector<BatchFacts> batches_;
  int64_t projections_ = 0;
  std::map<std::string, int64_t> forward_tokens_;
  int64_t queue_depth_ = 0;
  int64_t queue_bytes_ = 0;
  int64_t inflight_bytes_ = 0;
  int64_t workers_busy_ = 0;
};

}  // namespace attn::test
