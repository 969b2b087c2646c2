// What a histogram holds at one moment, for whoever shows it: buckets since the
// start, from which a reader of two moments can tell what happened in between.
// Plain values: thread-compatible.
#pragma once

#include <cstdint>
#include <vector>

namespace attn {

struct Distribution {
  std::vector<double> bounds;  // Upper ends of the buckets; rising.
  // Observations up to each bound, and, one more, all of them.
  std::vector<int64_t> counts;
  double sum = 0;  // Of the observations.

  int64_t count() const { return counts.empty() ? 0 : counts.back(); }

  // The value below which `fraction` (0..1) of the observations lie,
  // interpolated within its bucket as Prometheus' histogram_quantile does; the
  // last bound where it lies beyond; NaN when there is none.
  double Quantile(double fraction) const;

  // Adds the observations of `other`. REQUIRES: the same bounds, or none yet.
  void Add(const Distribution& other);
};

}  // namespace attn
