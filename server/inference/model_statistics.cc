#include "server/inference/model_statistics.h"

#include <chrono>
#include <string>

namespace attn {
namespace {

// Wall time, as the protocol has it.
int64_t UnixMilliseconds() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace

void ModelStatistics::Succeeded(const std::string& model,
                                const AttendOutcome& outcome, Duration total,
                                Duration encode) {
  Add(model, {.total = total,
              .receive = outcome.receive_time,
              .encode = encode,
              .times = outcome.task->times(),
              .task = *outcome.task});
}

void ModelStatistics::Succeeded(const std::string& model,
                                const ForwardOutcome& outcome, Duration total,
                                Duration encode) {
  Add(model, {.total = total,
              .receive = outcome.receive_time,
              .encode = encode,
              .times = outcome.job->times(),
              .task = outcome.job->attention()});
}

void ModelStatistics::Add(const std::string& model, const Figures& figures) {
  const int64_t now = UnixMilliseconds();
  absl::MutexLock lock(&mutex_);
  Counters& counters = counters_[model];
  counters.last_inference_ms = now;
  counters.success.Add(figures.total);
  counters.queue.Add(figures.times.queue_wait);
  for (BatchTimes* times :
       {&counters.all, &counters.by_batch_size[figures.task.batch_size()]}) {
    times->input.Add(figures.receive);
    times->infer.Add(figures.times.compute);
    times->output.Add(figures.encode);
  }
  counters.inference_count += figures.task.plan().geometry.batch_size;
  const int64_t number = figures.task.batch_number();
  int64_t& recent =
      counters.recent_batches[static_cast<size_t>(number % kRecentBatches)];
  if (recent != number) ++counters.execution_count;
  recent = number;
}

void ModelStatistics::Failed(const std::string& model, Duration total) {
  const int64_t now = UnixMilliseconds();
  absl::MutexLock lock(&mutex_);
  Counters& counters = counters_[model];
  counters.last_inference_ms = now;
  counters.fail.Add(total);
}

void ModelStatistics::Write(const Times& times,
                            inference::StatisticDuration& wire) {
  wire.set_count(static_cast<uint64_t>(times.count));
  wire.set_ns(static_cast<uint64_t>(times.sum.count()));
}

inference::ModelStatistics ModelStatistics::Read(
    const std::string& model) const {
  inference::ModelStatistics wire;
  wire.set_name(model);
  wire.set_version(std::string(kModelVersion));
  static const Counters nothing;
  absl::MutexLock lock(&mutex_);
  const auto found = counters_.find(model);
  const Counters& counters = found == counters_.end() ? nothing : found->second;
  wire.set_last_inference(static_cast<uint64_t>(counters.last_inference_ms));
  wire.set_inference_count(static_cast<uint64_t>(counters.inference_count));
  wire.set_execution_count(static_cast<uint64_t>(counters.execution_count));
  auto& all = *wire.mutable_inference_stats();
  Write(counters.success, *all.mutable_success());
  Write(counters.fail, *all.mutable_fail());
  Write(counters.queue, *all.mutable_queue());
  Write(counters.all.input, *all.mutable_compute_input());
  Write(counters.all.infer, *all.mutable_compute_infer());
  Write(counters.all.output, *all.mutable_compute_output());
  Write({}, *all.mutable_cache_hit());
  Write({}, *all.mutable_cache_miss());
  for (const auto& [batch_size, times] : counters.by_batch_size) {
    auto& batch = *wire.add_batch_stats();
    batch.set_batch_size(static_cast<uint64_t>(batch_size));
    Write(times.input, *batch.mutable_compute_input());
    Write(times.infer, *batch.mutable_compute_infer());
    Write(times.output, *batch.mutable_compute_output());
  }
  return wire;
}

}  // namespace attn
