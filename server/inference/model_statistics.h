// What became of the requests of each model: the figures behind the method
// ModelStatistics. Counted once for each ModelInferRequest that names a model,
// whether it came alone or in a stream.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "inference/grpc_service.pb.h"
#include "server/forward_codec.h"
#include "server/inference/model.h"
#include "server/wire_codec.h"

namespace attn {

// Thread-safe.
class ModelStatistics {
 public:
  // REQUIRES: outcome.status is OK. `total`: message received to now;
  // `encode`: to encode the response. `model`: of a model that there is, since
  // each name is kept.
  void Succeeded(const std::string& model, const AttendOutcome& outcome,
                 Duration total, Duration encode);
  void Succeeded(const std::string& model, const ForwardOutcome& outcome,
                 Duration total, Duration encode);
  void Failed(const std::string& model, Duration total);

  // Zeros where nothing was counted yet.
  inference::ModelStatistics Read(const std::string& model) const;

 private:
  // How often, and how long together.
  struct Times {
    int64_t count = 0;
    Duration sum{};

    void Add(Duration duration) {
      ++count;
      sum += duration;
    }
  };
  struct BatchTimes {
    Times input;
    Times infer;
    Times output;
  };
  // Batches are told apart by their number modulo this: one whose requests end
  // further apart than so many batches counts twice.
  static constexpr int64_t kRecentBatches = 4096;

  // Of one request.
  struct Figures {
    Duration total{};
    Duration receive{};
    Duration encode{};
    const TaskTimes& times;
    // Whose batch it is counted in.
    const AttentionTask& task;
  };

  struct Counters {
    Times success;
    Times fail;
    Times queue;
    BatchTimes all;
    std::map<int64_t, BatchTimes> by_batch_size;
    int64_t inference_count = 0;
    int64_t execution_count = 0;
    int64_t last_inference_ms = 0;
    std::array<int64_t, kRecentBatches> recent_batches{};
  };

  static void Write(const Times& times, inference::StatisticDuration& wire);
  void Add(const std::string& model, const Figures& figures);

  mutable absl::Mutex mutex_;
  std::map<std::string, Counters> counters_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace attn
