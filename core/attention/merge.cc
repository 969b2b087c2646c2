#include "core/attention/merge.h"

#include <algorithm>
#include <cmath>

#include "absl/container/inlined_vector.h"

namespace attn {
namespace {

// What the parts weigh in a row: exp(lse_p - largest), which neither overflows
// nor vanishes. Divided by their sum instead of exp(lse): beside an lse of 1e30
// (a mask of finfo.min) a logarithm of 2 is nothing.
struct RowWeights {
  absl::InlinedVector<double, 16> parts;
  double sum = 0;
  double largest = -INFINITY;
  bool has_key = false;

  double Lse() const { return has_key ? largest + std::log(sum) : -INFINITY; }
};

RowWeights Weigh(absl::Span<const PartialAnswer> parts, const float* sinks,
                 int64_t row) {
  RowWeights weights;
  for (const PartialAnswer& part : parts) {
    weights.largest = std::max(weights.largest, double{part.lse[row]});
  }
  if (sinks != nullptr) {
    weights.largest = std::max(weights.largest, double{sinks[row]});
  }
  for (const PartialAnswer& part : parts) {
    // -inf minus -inf must not arise. NaN stays NaN.
    const bool is_blind = part.lse[row] == -INFINITY;
    weights.parts.push_back(
        is_blind ? 0.0 : std::exp(double{part.lse[row]} - weights.largest));
    weights.sum += weights.parts.back();
    weights.has_key |= !is_blind;
  }
  if (sinks != nullptr) {
    weights.sum += std::exp(double{sinks[row]} - weights.largest);
  }
  return weights;
}

}  // namespace

void Merge(absl::Span<const PartialAnswer> parts, const float* sinks,
           int64_t num_rows, int64_t dim, float* output, float* lse) {
  for (int64_t row = 0; row < num_rows; ++row) {
    const RowWeights weights = Weigh(parts, sinks, row);
    for (int64_t d = 0; d < dim; ++d) {
      double sum = 0;
      for (size_t p = 0; p < parts.size(); ++p) {
        // Skipped, not multiplied: what has no weight may be anything.
        if (parts[p].lse[row] == -INFINITY) continue;
        sum += weights.parts[p] * double{parts[p].output[row * dim + d]};
      }
      // 0 where no part has a key.
      output[row * dim + d] =
          weights.has_key ? static_cast<float>(sum / weights.sum) : 0.0f;
    }
    lse[row] = static_cast<float>(weights.Lse());
  }
}

}  // namespace attn
