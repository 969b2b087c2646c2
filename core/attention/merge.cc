#include "core/attention/merge.h"

#include <algorithm>
#include <cmath>

namespace attn {
namespace {

// The log of the sum of exp(lse_p). Every part is shifted by the largest, so
// that nothing overflows; -inf minus -inf does not arise.
double TotalLse(absl::Span<const PartialAnswer> parts, int64_t row) {
  float largest = -INFINITY;
  for (const PartialAnswer& part : parts) {
    if (std::isnan(part.lse[row])) return part.lse[row];
    largest = std::max(largest, part.lse[row]);
  }
  if (std::isinf(largest)) return largest;
  double sum = 0;
  for (const PartialAnswer& part : parts) {
    sum += std::exp(double{part.lse[row]} - double{largest});
  }
  return double{largest} + std::log(sum);
}

}  // namespace

void Merge(absl::Span<const PartialAnswer> parts, int64_t num_rows, int64_t dim,
           float* output, float* lse) {
  for (int64_t row = 0; row < num_rows; ++row) {
    const double total = TotalLse(parts, row);
    for (int64_t d = 0; d < dim; ++d) {
      double sum = 0;
      for (const PartialAnswer& part : parts) {
        // Skipped, not multiplied: what has no weight may be anything.
        if (part.lse[row] == -INFINITY) continue;
        sum += std::exp(double{part.lse[row]} - total) *
               double{part.output[row * dim + d]};
      }
      output[row * dim + d] = static_cast<float>(sum);
    }
    lse[row] = static_cast<float>(total);
  }
}

}  // namespace attn
