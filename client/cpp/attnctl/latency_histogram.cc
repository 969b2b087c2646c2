#include "client/cpp/attnctl/latency_histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace attn::attnctl {
namespace {

// Each power of two has this many buckets; below the first, one for each ns.
constexpr int kSubBits = 7;
constexpr uint64_t kSubBuckets = uint64_t{1} << kSubBits;
constexpr size_t kBuckets = (64 - kSubBits) * kSubBuckets;

size_t BucketOf(uint64_t ns) {
  if (ns < kSubBuckets) {
    return ns;
  }
  const int exponent = static_cast<int>(std::bit_width(ns)) - kSubBits - 1;
  return (exponent + 1) * kSubBuckets + (ns >> exponent) - kSubBuckets;
}

// The largest value of a bucket.
uint64_t UpperEdge(size_t bucket) {
  if (bucket < kSubBuckets) {
    return bucket;
  }
  const uint64_t exponent = bucket / kSubBuckets - 1;
  return ((bucket % kSubBuckets + kSubBuckets + 1) << exponent) - 1;
}

}  // namespace

LatencyHistogram::LatencyHistogram() : buckets_(kBuckets, 0) {}

void LatencyHistogram::Record(absl::Duration latency) {
  const int64_t ns = std::max<int64_t>(0, absl::ToInt64Nanoseconds(latency));
  ++buckets_[BucketOf(static_cast<uint64_t>(ns))];
  ++count_;
  max_ns_ = std::max(max_ns_, ns);
  sum_ns_ += static_cast<double>(ns);
}

absl::Duration LatencyHistogram::mean() const {
  return count_ == 0 ? absl::ZeroDuration()
                     : absl::Nanoseconds(sum_ns_ / static_cast<double>(count_));
}

absl::Duration LatencyHistogram::Percentile(double fraction) const {
  const double rank = std::ceil(fraction * static_cast<double>(count_));
  uint64_t left = std::max<uint64_t>(1, static_cast<uint64_t>(rank));
  for (size_t bucket = 0; bucket < buckets_.size(); ++bucket) {
    if (left <= buckets_[bucket]) {
      const auto edge = static_cast<int64_t>(UpperEdge(bucket));
      return absl::Nanoseconds(std::min(edge, max_ns_));
    }
    left -= buckets_[bucket];
  }
  return max();
}

}  // namespace attn::attnctl
