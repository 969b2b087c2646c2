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

void ModelStatistics::Succeeded(Model model, const AttendOutcome& outcome,
                                Duration total, Duration encode) {
  const AttentionTask& task = *outcome.task;
  const int64_t now = UnixMilliseconds();
  absl::MutexLock lock(&mutex_);
  Counters& counters = Of(model);
  counters.last_inference_ms = now;
  counters.success.Add(total);
  counters.queue.Add(task.times().queue_wait);
  for (BatchTimes* times :
       {&counters.all, &counters.by_batch_size[task.batch_size()]}) {
    times->input.Add(outcome.receive_time);
    times->infer.Add(task.times().compute);
    times->output.Add(encode);
  }
  counters.inference_count += task.plan().geometry.batch_size;
  const int64_t number = task.batch_number();
  int64_t& recent =
      counters.recent_batches[static_cast<size_t>(number % kRecentBatches)];
  if (recent != number) ++counters.execution_count;
  recent = number;
}

void ModelStatistics::Failed(Model model, Duration total) {
  const int64_t now = UnixMilliseconds();
  absl::MutexLock lock(&mutex_);
  Counters& counters = Of(model);
  counters.last_inference_ms = now;
  counters.fail.Add(total);
}

void ModelStatistics::Write(const Times& times,
                            inference::StatisticDuration& wire) {
  wire.set_count(static_cast<uint64_t>(times.count));
  wire.set_ns(static_cast<uint64_t>(times.sum.count()));
}

inference::ModelStatistics ModelStatistics::Read(Model model) const {
  inference::ModelStatistics wire;
  wire.set_name(std::string(ModelName(model)));
  wire.set_version(std::string(kModelVersion));
  absl::MutexLock lock(&mutex_);
  const Counters& counters = counters_[static_cast<size_t>(model)];
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
