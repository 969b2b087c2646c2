#include "core/engine/task_cost.h"

#include <algorithm>

#include "core/base/checked_math.h"

namespace attn {
namespace {

constexpr int64_t kSampledSequences = 16;
constexpr int64_t kSampledRows = 16;

// Packing and converting an element costs about as much as this many FLOPs of a
// product (1.5 % of the time at 256 rows and head_dim 128, performance.md).
constexpr double kPackFlops = 8;

// Arithmetic in f64 is one element after another: 3-7 GFLOP/s a worker, where
// the f32 kernels reach more than 100.
constexpr double kF64Factor = 20;

// What a task costs beyond its arithmetic: hand-over, reply.
constexpr double kFixedFlops = 2e5;

// Mean number of keys that a row of sequence b sees, from a sample.
double MeanKeysSeen(const AttentionPlan& plan, int64_t b) {
  const KeyStructure structure = plan.Structure(b);
  const int64_t q_len = plan.geometry.q_len;
  const int64_t samples = std::min(q_len, kSampledRows);
  double sum = 0;
  for (int64_t i = 0; i < samples; ++i) {
    // Middles of equal stretches: exact for the causal triangle.
    const KeyRange range =
        structure.Allowed((q_len / samples) * i + q_len / samples / 2);
    sum += static_cast<double>(std::max<int64_t>(0, range.last - range.first));
  }
  return samples == 0 ? 0 : sum / static_cast<double>(samples);
}

}  // namespace

double EstimateCost(const AttentionPlan& plan) {
  const Geometry& g = plan.geometry;
  if (g.q_len == 0) return kFixedFlops;
  const int64_t samples = std::min(g.batch_size, kSampledSequences);
  double mean_keys = 0;
  for (int64_t i = 0; i < samples; ++i) {
    mean_keys += MeanKeysSeen(plan, g.batch_size / samples * i) /
                 static_cast<double>(samples);
  }
  const auto dims = static_cast<double>(g.head_dim + g.value_head_dim);
  const double rows = static_cast<double>(g.batch_size) *
                      static_cast<double>(g.num_q_heads) *
                      static_cast<double>(g.q_len);
  const double keys = static_cast<double>(g.batch_size) *
                      static_cast<double>(g.num_kv_heads) * mean_keys;
  const double scores = 2 * rows * mean_keys * dims;
  // A second walk, for weights over all keys, for top keys over those seen.
  double walk = 0;
  if (plan.weights_bytes > 0) {
    walk = 2 * rows * static_cast<double>(g.kv_len) * dims;
  } else if (plan.top_bytes > 0) {
    walk = scores;
  }
  const double factor = plan.compute_dtype() == DataType::kF64 ? kF64Factor : 1;
  return factor * (scores + walk) + kPackFlops * (rows + keys) * dims +
         kFixedFlops;
}

}  // namespace attn
