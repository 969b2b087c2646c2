// What a bench has seen so far: latencies, outcomes, bytes, the server's own
// times and fingerprints of the answers that are to be verified.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "client/cpp/attnctl/latency_histogram.h"
#include "client/cpp/request.h"

namespace attn::attnctl {

// One answered Send.
struct AnsweredSend {
  uint64_t first_index = 0;  // Of its requests; the others follow.
  uint64_t sent_bytes = 0;
  absl::Duration latency;  // From the intended send time.
  const std::vector<client::AttendResult>* results = nullptr;  // For the call.
};

// The figures at one moment. Latencies are those of Sends with no failed
// request.
struct LoadFigures {
  uint64_t completed = 0;  // Requests.
  uint64_t failed = 0;
  std::map<std::string, uint64_t> errors;  // "CODE" or "CODE (REASON)"
  uint64_t sent_bytes = 0;                 // Tensors, failed requests included.
  uint64_t received_bytes = 0;
  double batch_size_sum = 0;  // Over the completed ones.
  LatencyHistogram latency;
  LatencyHistogram server_queue;
  LatencyHistogram server_compute;
  // Of the outputs of completed requests with index < verify.
  std::map<uint64_t, uint64_t> fingerprints;

  // Tasks in the server's batch, averaged over requests; 0 for none.
  double mean_batch_size() const;
};

// Thread-safe.
class LoadRecord {
 public:
  // Keeps fingerprints of requests 0..verify - 1.
  explicit LoadRecord(uint64_t verify);

  void Add(const AnsweredSend& send);

  LoadFigures Copy() const;
  uint64_t completed() const;
  uint64_t failed() const;

 private:
  const uint64_t verify_;
  mutable absl::Mutex mutex_;
  LoadFigures figures_ ABSL_GUARDED_BY(mutex_);
};

// A 64-bit hash of shape and bytes of the output.
uint64_t Fingerprint(const client::Tensor& output);

}  // namespace attn::attnctl
