#include "core/attention/reference_kernel.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

#include "core/tensor/conversions.h"

namespace attn {
namespace {

constexpr double kMinusInfinity = -std::numeric_limits<double>::infinity();

double Load(DataType dtype, const std::byte* data, int64_t index) {
  const std::byte* element = data + index * ElementBytes(dtype);
  if (dtype == DataType::kBool) return element[0] != std::byte{0} ? 1 : 0;
  double value = 0;
  ConvertToF64(dtype, element, 1, &value);
  return value;
}

using Matrix = std::vector<std::vector<double>>;

// `num_rows` rows of a head, widened: [num_rows][dim].
Matrix Widen(const RowsView& view, int64_t head, int64_t num_rows) {
  Matrix rows;
  for (int64_t row = 0; row < num_rows; ++row) {
    std::vector<double> wide(static_cast<size_t>(view.dim));
    ConvertToF64(view.dtype, view.Row(head, row), view.dim, wide.data());
    rows.push_back(std::move(wide));
  }
  return rows;
}

// Row `row` of cosines or sines, widened.
std::vector<double> Angles(const RotationView& rotation, const std::byte* table,
                           size_t row) {
  std::vector<double> wide(static_cast<size_t>(rotation.num_pairs));
  const int64_t start = static_cast<int64_t>(row) * rotation.num_pairs *
                        ElementBytes(rotation.dtype);
  ConvertToF64(rotation.dtype, table + start, rotation.num_pairs, wide.data());
  return wide;
}

// pass 0: every row times its rotation matrix
void Rotate(const RotationView& rotation, Matrix& rows) {
  if (!rotation.is_on()) return;
  const auto pairs = static_cast<size_t>(rotation.num_pairs);
  for (size_t row = 0; row < rows.size(); ++row) {
    const std::vector<double> cos = Angles(rotation, rotation.cos, row);
    const std::vector<double> sin = Angles(rotation, rotation.sin, row);
    const std::vector<double> before = rows[row];
    for (size_t i = 0; i < pairs; ++i) {
      const size_t x = rotation.is_interleaved ? 2 * i : i;
      const size_t y = rotation.is_interleaved ? 2 * i + 1 : i + pairs;
      rows[row][x] = before[x] * cos[i] - before[y] * sin[i];
      rows[row][y] = before[x] * sin[i] + before[y] * cos[i];
    }
  }
}

// One row's scores on their way to weights.
struct Row {
  std::vector<double> raw;     // scale * q . k
  std::vector<double> capped;  // after softcap
  std::vector<double> biased;  // after ALiBi and mask; -inf where not allowed
  std::vector<double> weights;
  double lse = kMinusInfinity;
};

// pass 1: scores
void Score(const Problem& p, const std::vector<double>& query,
           const Matrix& keys, Row& out) {
  for (const std::vector<double>& key : keys) {
    const double dot =
        std::inner_product(query.begin(), query.end(), key.begin(), 0.0);
    const double score = p.scale * dot;
    const double cap = p.softcap;
    out.raw.push_back(score);
    out.capped.push_back(cap > 0 ? cap * std::tanh(score / cap) : score);
  }
}

// pass 2: bias
double Bias(const Problem& p, int64_t head, int64_t row, int64_t j) {
  if (!p.structure.Allowed(row).Contains(j)) return kMinusInfinity;
  double bias = 0;
  if (p.alibi_slopes != nullptr) {
    const double position =
        static_cast<double>(p.structure.offset) + static_cast<double>(row);
    bias += static_cast<double>(p.alibi_slopes[head]) *
            (static_cast<double>(j) - position);
  }
  if (p.mask.data == nullptr) return bias;
  const double mask =
      Load(p.mask.dtype, p.mask.Row(head, row), j * p.mask.strides.key);
  if (p.mask.dtype == DataType::kBool) return mask != 0 ? bias : kMinusInfinity;
  return bias + mask;
}

void ApplyBias(const Problem& p, int64_t head, int64_t row, Row& out) {
  for (int64_t j = 0; j < p.kv_len; ++j) {
    const double bias = Bias(p, head, row, j);
    // Selected, not added: a key that is not allowed may be NaN.
    out.biased.push_back(bias == kMinusInfinity
                             ? kMinusInfinity
                             : out.capped[static_cast<size_t>(j)] + bias);
  }
}

// pass 3: softmax with the sink in the denominator
void Softmax(const Problem& p, int64_t head, Row& out) {
  double max = kMinusInfinity;
  for (const double score : out.biased) max = std::fmax(max, score);
  out.weights.assign(out.biased.size(), 0.0);
  if (max == kMinusInfinity) return;
  const bool has_sink = p.sinks != nullptr;
  const double sink = has_sink ? p.sinks[head] : 0.0;
  if (has_sink) max = std::fmax(max, sink);
  double sum = has_sink ? std::exp(sink - max) : 0.0;
  for (size_t j = 0; j < out.biased.size(); ++j) {
    out.weights[j] = std::exp(out.biased[j] - max);
    sum += out.weights[j];
  }
  for (double& weight : out.weights) weight /= sum;
  out.lse = max + std::log(sum);
}

// pass 4: weighted sum of the allowed values
void WeightedSum(const Matrix& values, size_t dim, const Row& row,
                 ReferenceResult& result) {
  const size_t start = result.output.size();
  result.output.resize(start + dim, 0.0);
  result.magnitude.resize(start + dim, 0.0);
  for (size_t j = 0; j < values.size(); ++j) {
    if (row.biased[j] == kMinusInfinity) continue;
    for (size_t d = 0; d < dim; ++d) {
      result.output[start + d] += row.weights[j] * values[j][d];
      result.magnitude[start + d] += row.weights[j] * std::fabs(values[j][d]);
    }
  }
}

const std::vector<double>& WeightsOf(const Row& row, WeightsMode mode) {
  if (mode == WeightsMode::kRawScores) return row.raw;
  if (mode == WeightsMode::kSoftcapped) return row.capped;
  return mode == WeightsMode::kBiased ? row.biased : row.weights;
}

}  // namespace

ReferenceResult AttendReference(const Problem& p) {
  ReferenceResult result;
  Matrix keys = Widen(p.key, 0, p.kv_len);
  Rotate(p.key_rotation, keys);
  const Matrix values = Widen(p.value, 0, p.kv_len);
  for (int64_t head = 0; head < p.group_size; ++head) {
    Matrix queries = Widen(p.query, head, p.q_len);
    Rotate(p.query_rotation, queries);
    for (int64_t i = 0; i < p.q_len; ++i) {
      Row row;
      Score(p, queries[static_cast<size_t>(i)], keys, row);
      ApplyBias(p, head, i, row);
      Softmax(p, head, row);
      WeightedSum(values, static_cast<size_t>(p.value.dim), row, result);
      result.lse.push_back(row.lse);
      if (p.weights_mode == WeightsMode::kNone) continue;
      const auto& weights = WeightsOf(row, p.weights_mode);
      result.weights.insert(result.weights.end(), weights.begin(),
                            weights.end());
    }
  }
  return result;
}

}  // namespace attn
