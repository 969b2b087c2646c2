// Latencies in logarithmic buckets, as HdrHistogram does it: every value from
// 1 ns to centuries with an error below 1/128, in fixed memory.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/time/time.h"

namespace attn::attnctl {

// Thread-compatible: const members may run in parallel.
class LatencyHistogram {
 public:
  LatencyHistogram();

  // Negative ones count as 0.
  void Record(absl::Duration latency);

  uint64_t count() const { return count_; }
  // Exact; 0 when empty.
  absl::Duration max() const { return absl::Nanoseconds(max_ns_); }
  absl::Duration mean() const;

  // The smallest recorded latency (up to the bucket's error) that is not
  // exceeded by `fraction` (0..1) of all; 0 when empty.
  absl::Duration Percentile(double fraction) const;

 private:
  std::vector<uint64_t> buckets_;
  uint64_t count_ = 0;
  int64_t max_ns_ = 0;
  double sum_ns_ = 0;
};

}  // namespace attn::attnctl
