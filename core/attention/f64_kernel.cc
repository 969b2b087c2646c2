#include "core/attention/f64_kernel.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/attention/paged_tiles.h"
#include "core/attention/top_keys.h"
#include "core/base/status_macros.h"
#include "core/tensor/conversions.h"

namespace attn {
namespace {

constexpr double kMinusInfinity = -std::numeric_limits<double>::infinity();

// Four sums, so that one addition need not wait for the other.
double Dot(const double* a, const double* b, int64_t n) {
  double sums[4] = {};
  int64_t i = 0;
  for (; i + 4 <= n; i += 4) {
    for (int64_t lane = 0; lane < 4; ++lane) {
      sums[lane] += a[i + lane] * b[i + lane];
    }
  }
  for (; i < n; ++i) sums[0] += a[i] * b[i];
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

bool AllFinite(const double* values, int64_t n) {
  return std::all_of(values, values + n,
                     [](double value) { return std::isfinite(value); });
}

// One work item. Names as in RowTile (row_tile.h).
class F64Rows {
 public:
  F64Rows(const Problem& problem, RowRange rows) : p_(problem), rows_(rows) {}

  absl::Status Run(ScratchArena& arena);

 private:
  int64_t num_rows() const { return rows_.size(); }
  int64_t HeadOf(int64_t r) const { return p_.HeadOf(rows_.first + r); }
  int64_t RowOf(int64_t r) const { return p_.RowOf(rows_.first + r); }
  double* Scores(int64_t r) const { return scores_ + r * p_.kv_len; }

  absl::Status TakeScratch(ScratchArena& arena);
  void WidenQuery();
  void WidenKey(int64_t j, double* to) const;
  void WidenValue(int64_t j, double* to) const;
  void Score();
  void FinishRow(int64_t r);
  void Cap(double* scores) const;
  double BiasAt(int64_t r, int64_t key) const;
  double MaskAt(int64_t r, int64_t key) const;
  bool IsAllowed(int64_t r, int64_t key) const;
  void AddBias(int64_t r, double* scores) const;
  // Scores become weights; returns lse.
  double Normalise(int64_t r, double* scores) const;
  void WeighValues();
  void WriteWeights(int64_t r, WeightsMode mode) const;
  void WriteTop(int64_t r);

  const Problem& p_;
  const RowRange rows_;

  // Scratch; R = num_rows(), N = kF64Keys.
  double* query_ = nullptr;    // [R, head_dim]
  double* widened_ = nullptr;  // [N, max(head_dim, value_head_dim)]
  double* scores_ = nullptr;   // [R, kv_len]
  double* output_ = nullptr;   // [R, value_head_dim]
  double* top_scores_ = nullptr;
  int32_t* top_keys_ = nullptr;
};

absl::Status F64Rows::Run(ScratchArena& arena) {
  ATTN_RETURN_IF_ERROR(TakeScratch(arena));
  WidenQuery();
  Score();
  for (int64_t r = 0; r < num_rows(); ++r) FinishRow(r);
  WeighValues();
  for (int64_t r = 0; r < num_rows(); ++r) {
    ConvertFromF64(output_ + r * p_.value.dim, p_.value.dim, p_.output.dtype,
                   p_.output.Row(HeadOf(r), RowOf(r)));
  }
  return absl::OkStatus();
}

absl::Status F64Rows::TakeScratch(ScratchArena& arena) {
  const int64_t rows = num_rows();
  const int64_t widest = std::max(p_.query.dim, p_.value.dim);
  const auto doubles = [](int64_t n) {
    return ScratchArena::BytesFor<double>(n);
  };
  ATTN_RETURN_IF_ERROR(arena.Reset(
      doubles(rows * p_.query.dim) + doubles(kF64Keys * widest) +
      doubles(rows * p_.kv_len) + doubles(rows * p_.value.dim) +
      doubles(p_.top.top_k) + ScratchArena::BytesFor<int32_t>(p_.top.top_k)));
  query_ = arena.Take<double>(rows * p_.query.dim);
  widened_ = arena.Take<double>(kF64Keys * widest);
  scores_ = arena.Take<double>(rows * p_.kv_len);
  output_ = arena.Take<double>(rows * p_.value.dim);
  top_scores_ = arena.Take<double>(p_.top.top_k);
  top_keys_ = arena.Take<int32_t>(p_.top.top_k);
  return absl::OkStatus();
}

void F64Rows::WidenQuery() {
  for (int64_t r = 0; r < num_rows(); ++r) {
    double* query = query_ + r * p_.query.dim;
    ConvertToF64(p_.query.dtype, p_.query.Row(HeadOf(r), RowOf(r)),
                 p_.query.dim, query);
    if (p_.query_rotation.is_on()) {
      RotateRow(p_.query_rotation, RowOf(r), query);
    }
  }
}

void F64Rows::WidenKey(int64_t j, double* to) const {
  if (p_.paged.is_on()) return WidenPagedKey(p_.paged, j, p_.key.dim, to);
  ConvertToF64(p_.key.dtype, p_.key.Row(0, j), p_.key.dim, to);
}

void F64Rows::WidenValue(int64_t j, double* to) const {
  if (p_.paged.is_on()) return WidenPagedValue(p_.paged, j, p_.value.dim, to);
  ConvertToF64(p_.value.dtype, p_.value.Row(0, j), p_.value.dim, to);
}

// pass 1: scores = scale * query . key
void F64Rows::Score() {
  const int64_t dim = p_.query.dim;
  for (int64_t first = 0; first < p_.kv_len; first += kF64Keys) {
    const int64_t last = std::min(first + kF64Keys, p_.kv_len);
    for (int64_t j = first; j < last; ++j) {
      double* key = widened_ + (j - first) * dim;
      WidenKey(j, key);
      if (p_.key_rotation.is_on()) RotateRow(p_.key_rotation, j, key);
    }
    for (int64_t r = 0; r < num_rows(); ++r) {
      const double* query = query_ + r * dim;
      for (int64_t j = first; j < last; ++j) {
        const double* key = widened_ + (j - first) * dim;
        Scores(r)[j] = p_.scale * Dot(query, key, dim);
      }
    }
  }
}

// pass 2: softcap, bias, softmax, and what the reply wants of each
void F64Rows::FinishRow(int64_t r) {
  double* scores = Scores(r);
  WriteWeights(r, WeightsMode::kRawScores);
  Cap(scores);
  WriteWeights(r, WeightsMode::kSoftcapped);
  AddBias(r, scores);
  WriteWeights(r, WeightsMode::kBiased);
  if (p_.top.top_k > 0) {
    TopKeys<double> top(top_scores_, top_keys_, p_.top.top_k);
    top.Offer(scores, p_.kv_len, 0);
    top.Finish();
  }
  const double lse = Normalise(r, scores);
  if (p_.lse.data != nullptr) {
    *p_.lse.Row(HeadOf(r), RowOf(r)) = static_cast<float>(lse);
  }
  WriteWeights(r, WeightsMode::kProbabilities);
  if (p_.top.top_k > 0) WriteTop(r);
}

void F64Rows::Cap(double* scores) const {
  const double cap = p_.softcap;
  if (cap <= 0) return;
  for (int64_t j = 0; j < p_.kv_len; ++j) {
    scores[j] = cap * std::tanh(scores[j] / cap);
  }
}

double F64Rows::MaskAt(int64_t r, int64_t key) const {
  const std::byte* element =
      p_.mask.Row(HeadOf(r), RowOf(r)) +
      key * p_.mask.strides.key * ElementBytes(p_.mask.dtype);
  if (p_.mask.dtype == DataType::kBool) {
    return element[0] != std::byte{0} ? 0.0 : kMinusInfinity;
  }
  double bias = 0;
  ConvertToF64(p_.mask.dtype, element, 1, &bias);
  return bias;
}

bool F64Rows::IsAllowed(int64_t r, int64_t key) const {
  return p_.structure.Allowed(RowOf(r)).Contains(key) &&
         (p_.mask.data == nullptr || MaskAt(r, key) != kMinusInfinity);
}

double F64Rows::BiasAt(int64_t r, int64_t key) const {
  double bias = 0;
  if (p_.alibi_slopes != nullptr) {
    const double position = static_cast<double>(p_.structure.offset) +
                            static_cast<double>(RowOf(r));
    bias = double{p_.alibi_slopes[HeadOf(r)]} *
           (static_cast<double>(key) - position);
  }
  return p_.mask.data == nullptr ? bias : bias + MaskAt(r, key);
}

// Selected, not added, where not allowed: the score may be NaN.
void F64Rows::AddBias(int64_t r, double* scores) const {
  const KeyRange range = p_.structure.Allowed(RowOf(r));
  for (int64_t j = 0; j < p_.kv_len; ++j) {
    const double bias = range.Contains(j) ? BiasAt(r, j) : kMinusInfinity;
    scores[j] = bias == kMinusInfinity ? bias : scores[j] + bias;
  }
}

double F64Rows::Normalise(int64_t r, double* scores) const {
  double* end = scores + p_.kv_len;
  const bool has_keys = std::any_of(
      scores, end, [](double score) { return score != kMinusInfinity; });
  if (!has_keys) {
    std::fill(scores, end, 0.0);
    return kMinusInfinity;
  }
  const double sink =
      p_.sinks == nullptr ? kMinusInfinity : double{p_.sinks[HeadOf(r)]};
  const double max = std::max(sink, *std::max_element(scores, end));
  double sum = std::exp(sink - max);
  for (double* score = scores; score != end; ++score) {
    *score = std::exp(*score - max);
    sum += *score;
  }
  for (double* score = scores; score != end; ++score) *score /= sum;
  return max + std::log(sum);
}

// pass 3: output = weights * value, without NaN and infinity of keys that a row
// must not see.
void F64Rows::WeighValues() {
  const int64_t dim = p_.value.dim;
  std::fill(output_, output_ + num_rows() * dim, 0.0);
  for (int64_t j = 0; j < p_.kv_len; ++j) {
    WidenValue(j, widened_);
    const bool is_finite = AllFinite(widened_, dim);
    for (int64_t r = 0; r < num_rows(); ++r) {
      const double weight = Scores(r)[j];
      if (weight == 0 && (is_finite || !IsAllowed(r, j))) continue;
      double* output = output_ + r * dim;
      for (int64_t d = 0; d < dim; ++d) output[d] += weight * widened_[d];
    }
  }
}

void F64Rows::WriteWeights(int64_t r, WeightsMode mode) const {
  if (p_.weights.data == nullptr || p_.weights_mode != mode) return;
  std::copy(Scores(r), Scores(r) + p_.kv_len,
            p_.weights.Row(HeadOf(r), RowOf(r)));
}

void F64Rows::WriteTop(int64_t r) {
  const int64_t place = p_.top.Place(HeadOf(r), RowOf(r));
  for (int64_t i = 0; i < p_.top.top_k; ++i) {
    const int32_t key = top_keys_[i];
    p_.top.indices[place + i] = key;
    p_.top.probabilities[place + i] =
        key < 0 ? 0.0f : static_cast<float>(Scores(r)[key]);
  }
}

}  // namespace

absl::Status AttendF64(const Problem& problem, RowRange rows,
                       ScratchArena& arena) {
  return F64Rows(problem, rows).Run(arena);
}

}  // namespace attn
