#include "server/distribution.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/base/check.h"

namespace attn {

double Distribution::Quantile(double fraction) const {
  if (count() == 0 || bounds.empty()) {
    return std::numeric_limits<double>::quiet_NaN();
  }
  const double rank = fraction * static_cast<double>(count());
  const auto place = std::find_if(
      counts.begin(), counts.end(),
      [rank](int64_t upto) { return static_cast<double>(upto) >= rank; });
  const auto bucket = static_cast<size_t>(place - counts.begin());
  if (bucket >= bounds.size()) return bounds.back();
  const double before =
      bucket == 0 ? 0 : static_cast<double>(counts[bucket - 1]);
  const double inside = static_cast<double>(counts[bucket]) - before;
  const double low = bucket == 0 ? 0 : bounds[bucket - 1];
  // A rank of 0 in an empty first bucket.
  if (inside <= 0) return low;
  return low + (bounds[bucket] - low) * (rank - before) / inside;
}

void Distribution::Add(const Distribution& other) {
  if (counts.empty()) {
    *this = other;
    return;
  }
  ATTN_CHECK(bounds == other.bounds);
  for (size_t i = 0; i < counts.size(); ++i) counts[i] += other.counts[i];
  sum += other.sum;
}

}  // namespace attn
