#include "core/attention/prefill_kernel.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/attention/pack.h"
#include "core/attention/score_ops.h"
#include "core/attention/score_stage.h"
#include "core/base/checked_math.h"
#include "core/base/status_macros.h"
#include "core/tensor/conversions.h"

namespace attn {
namespace {

constexpr double kLn2 = 0.693147180559945309417;
constexpr double kLog2E = 1.44269504088896340736;

// A quarter of a 1 MiB L2 for each panel: 256 rows of 256 floats.
constexpr int64_t kPanelFloats = int64_t{256} * 256;
constexpr int64_t kLargestTile = 256;
constexpr int64_t kSmallestTile = 16;

// One work item: a tile of query rows on its way over the keys.
class RowTile {
 public:
  RowTile(const Problem& problem, RowRange rows, TileShape tile,
          const TileGemm& gemm)
      : p_(problem),
        rows_(rows),
        tile_(tile),
        gemm_(gemm),
        stage_(problem, rows) {}

  absl::Status Run(ScratchArena& arena) {
    ATTN_RETURN_IF_ERROR(TakeScratch(arena));
    PackQueryTile(p_, rows_, stage_.query_factor(), query_);
    stage_.FindRanges(ranges_);
    std::fill(max_, max_ + num_rows(), -INFINITY);
    std::fill(sum_, sum_ + num_rows(), 0.0);
    std::fill(accumulated_, accumulated_ + num_rows() * p_.value.dim, 0.0f);
    ATTN_RETURN_IF_ERROR(VisitKeys());
    Normalise();
    WriteRows();
    return p_.weights.data == nullptr ? absl::OkStatus() : WriteWeights();
  }

 private:
  int64_t num_rows() const { return rows_.size(); }

  absl::Status TakeScratch(ScratchArena& arena);
  absl::Status VisitKeys();
  absl::Status VisitTile(int64_t first_key, int64_t num_keys);
  absl::Status Score(int64_t first_key, int64_t num_keys);
  absl::Status WeighValues(int64_t first_key, int64_t num_keys);
  void WeighAllowedValues(int64_t first_key, int64_t num_keys);
  void Rescale();
  void Normalise();
  void WriteRows();
  absl::Status WriteWeights();
  void WriteWeightsRow(int64_t r, int64_t first_key, int64_t num_keys);

  const Problem& p_;
  const RowRange rows_;
  const TileShape tile_;
  const TileGemm& gemm_;
  ScoreStage stage_;

  // Scratch; R = num_rows(), N = tile_.keys.
  float* query_ = nullptr;        // [R, head_dim], scaled
  float* key_ = nullptr;          // [head_dim, N], transposed
  float* widened_ = nullptr;      // [N, head_dim]
  float* value_ = nullptr;        // [N, value_head_dim]
  float* scores_ = nullptr;       // [R, N]
  float* accumulated_ = nullptr;  // [R, value_head_dim]
  float* max_ = nullptr;          // [R] see SoftmaxTile
  float* rescale_ = nullptr;      // [R]
  double* sum_ = nullptr;         // [R]
  // [R] 2^max over the whole denominator, by which weights are normalised; 0
  // for a row without an allowed key.
  float* norm_ = nullptr;
  float* lse_ = nullptr;        // [R]
  KeyRange* ranges_ = nullptr;  // [R]
};

absl::Status RowTile::TakeScratch(ScratchArena& arena) {
  const int64_t rows = num_rows();
  const int64_t d = p_.query.dim;
  const int64_t dv = p_.value.dim;
  const auto floats = [](int64_t n) {
    return ScratchArena::BytesFor<float>(n);
  };
  ATTN_RETURN_IF_ERROR(arena.Reset(
      floats(rows * d) + 2 * floats(d * tile_.keys) + floats(tile_.keys * dv) +
      floats(rows * tile_.keys) + floats(rows * dv) + 4 * floats(rows) +
      ScratchArena::BytesFor<double>(rows) +
      ScratchArena::BytesFor<KeyRange>(rows)));
  query_ = arena.Take<float>(rows * d);
  key_ = arena.Take<float>(d * tile_.keys);
  widened_ = arena.Take<float>(d * tile_.keys);
  value_ = arena.Take<float>(tile_.keys * dv);
  scores_ = arena.Take<float>(rows * tile_.keys);
  accumulated_ = arena.Take<float>(rows * dv);
  max_ = arena.Take<float>(rows);
  rescale_ = arena.Take<float>(rows);
  norm_ = arena.Take<float>(rows);
  lse_ = arena.Take<float>(rows);
  sum_ = arena.Take<double>(rows);
  ranges_ = arena.Take<KeyRange>(rows);
  return absl::OkStatus();
}

// Tiles start at multiples of their size, so that skipping some does not move
// the others.
absl::Status RowTile::VisitKeys() {
  const KeyRange seen = stage_.seen();
  if (seen.empty()) return absl::OkStatus();
  for (int64_t key = seen.first - seen.first % tile_.keys; key < seen.last;
       key += tile_.keys) {
    ATTN_RETURN_IF_ERROR(VisitTile(key, std::min(tile_.keys, seen.last - key)));
  }
  return absl::OkStatus();
}

absl::Status RowTile::VisitTile(int64_t first_key, int64_t num_keys) {
  ATTN_RETURN_IF_ERROR(Score(first_key, num_keys));
  stage_.Bias(ranges_, first_key, num_keys, scores_, tile_.keys);
  SoftmaxStep({.scores = scores_,
               .num_rows = num_rows(),
               .num_keys = num_keys,
               .stride = tile_.keys,
               .max = max_,
               .sum = sum_,
               .rescale = rescale_});
  Rescale();
  return WeighValues(first_key, num_keys);
}

// scores = query * key
absl::Status RowTile::Score(int64_t first_key, int64_t num_keys) {
  PackKeyTile(p_.key, first_key, num_keys, widened_, tile_.keys, key_);
  return gemm_.Multiply({.m = num_rows(),
                         .n = num_keys,
                         .k = p_.query.dim,
                         .lda = p_.query.dim,
                         .ldb = tile_.keys,
                         .ldc = tile_.keys},
                        query_, key_, scores_, /*accumulate=*/false);
}

// accumulated += weights * value
absl::Status RowTile::WeighValues(int64_t first_key, int64_t num_keys) {
  if (!PackValueTile(p_.value, first_key, num_keys, value_)) {
    WeighAllowedValues(first_key, num_keys);
    return absl::OkStatus();
  }
  return gemm_.Multiply({.m = num_rows(),
                         .n = p_.value.dim,
                         .k = num_keys,
                         .lda = tile_.keys,
                         .ldb = p_.value.dim,
                         .ldc = p_.value.dim},
                        scores_, value_, accumulated_, /*accumulate=*/true);
}

// The same for a tile that holds NaN or infinity: a product would multiply them
// by the weight 0 of keys that a row must not see.
void RowTile::WeighAllowedValues(int64_t first_key, int64_t num_keys) {
  const int64_t dim = p_.value.dim;
  for (int64_t r = 0; r < num_rows(); ++r) {
    float* row = accumulated_ + r * dim;
    for (int64_t j = 0; j < num_keys; ++j) {
      if (!stage_.IsAllowed(ranges_[r], r, first_key + j)) continue;
      const float weight = scores_[r * tile_.keys + j];
      for (int64_t d = 0; d < dim; ++d) row[d] += weight * value_[j * dim + d];
    }
  }
}

void RowTile::Rescale() {
  const int64_t dim = p_.value.dim;
  for (int64_t r = 0; r < num_rows(); ++r) {
    if (rescale_[r] != 1.0f) {
      ScaleRow(accumulated_ + r * dim, dim, rescale_[r]);
    }
  }
}

// The denominator is the sum over keys plus the sink's share.
void RowTile::Normalise() {
  for (int64_t r = 0; r < num_rows(); ++r) {
    if (sum_[r] == 0) {  // No allowed key. NaN is not equal to 0.
      norm_[r] = 0;
      lse_[r] = -INFINITY;
      continue;
    }
    const double sink = p_.sinks == nullptr
                            ? -INFINITY
                            : p_.sinks[p_.HeadOf(rows_.first + r)] * kLog2E;
    const double max = std::max<double>(max_[r], sink);
    const double keys_share = std::exp2(max_[r] - max);
    const double total = sum_[r] * keys_share + std::exp2(sink - max);
    norm_[r] = static_cast<float>(keys_share / total);
    lse_[r] = static_cast<float>((max + std::log2(total)) * kLn2);
  }
}

void RowTile::WriteRows() {
  const int64_t dim = p_.value.dim;
  for (int64_t r = 0; r < num_rows(); ++r) {
    const int64_t head = p_.HeadOf(rows_.first + r);
    const int64_t row = p_.RowOf(rows_.first + r);
    float* output = accumulated_ + r * dim;
    // Selected, not multiplied: what was accumulated may be NaN.
    if (sum_[r] == 0) {
      std::fill(output, output + dim, 0.0f);
    } else {
      ScaleRow(output, dim, norm_[r]);
    }
    ConvertFromF32(output, dim, p_.output.dtype, p_.output.Row(head, row));
    if (p_.lse.data != nullptr) *p_.lse.Row(head, row) = lse_[r];
  }
}

// A second walk over all keys, with the final maximum and denominator known.
absl::Status RowTile::WriteWeights() {
  for (int64_t key = 0; key < p_.kv_len; key += tile_.keys) {
    const int64_t num_keys = std::min(tile_.keys, p_.kv_len - key);
    ATTN_RETURN_IF_ERROR(Score(key, num_keys));
    for (int64_t r = 0; r < num_rows(); ++r) WriteWeightsRow(r, key, num_keys);
  }
  return absl::OkStatus();
}

void RowTile::WriteWeightsRow(int64_t r, int64_t first_key, int64_t num_keys) {
  float* scores = scores_ + r * tile_.keys;
  const WeightsMode mode = p_.weights_mode;
  if (mode >= WeightsMode::kSoftcapped) stage_.Cap(scores, num_keys);
  if (mode >= WeightsMode::kBiased) {
    stage_.BiasRow(ranges_[r], r, first_key, num_keys, scores);
  }
  if (mode == WeightsMode::kProbabilities) {
    ToLog2Row(scores, num_keys);
    const float max = std::isinf(max_[r]) ? 0.0f : max_[r];
    ProbabilitiesRow(scores, num_keys, max, norm_[r]);
  }
  const int64_t folded = rows_.first + r;
  std::copy(scores, scores + num_keys,
            p_.weights.Row(p_.HeadOf(folded), p_.RowOf(folded)) + first_key);
}

int64_t TileLength(int64_t dim) {
  const int64_t rows = kPanelFloats / dim;
  return std::clamp(rows - rows % kSmallestTile, kSmallestTile, kLargestTile);
}

}  // namespace

TileShape ChooseTileShape(int64_t num_rows, int64_t kv_len, int64_t head_dim,
                          int64_t value_head_dim) {
  const int64_t length = TileLength(std::max(head_dim, value_head_dim));
  // Equal tiles rather than full ones and a rest.
  const int64_t num_tiles = std::max<int64_t>(1, DivideUp(num_rows, length));
  return {.rows = std::max<int64_t>(1, DivideUp(num_rows, num_tiles)),
          .keys = std::clamp<int64_t>(kv_len, 1, length)};
}

absl::Status AttendPrefill(const Problem& problem, RowRange rows,
                           TileShape tile, const TileGemm& gemm,
                           ScratchArena& arena) {
  return RowTile(problem, rows, tile, gemm).Run(arena);
}

}  // namespace attn
