#include "client/cpp/merge.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace attn::client {
namespace {

constexpr double kMinusInfinity = -std::numeric_limits<double>::infinity();

// How rows lie in an output. Row r of the lse, (b * heads + h) * length + l,
// has its `dim` elements from OutputRow(r) * dim on.
struct RowOrder {
  int64_t heads = 0;
  int64_t length = 0;
  int64_t dim = 0;
  bool heads_are_inner = false;  // kBshd, kBse

  int64_t OutputRow(int64_t row) const {
    if (!heads_are_inner) {
      return row;
    }
    const int64_t l = row % length;
    const int64_t h = row / length % heads;
    const int64_t b = row / length / heads;
    return (b * length + l) * heads + h;
  }
};

std::string Field(size_t part, const char* name) {
  return absl::StrCat("parts[", part, "].", name);
}

std::string DTypeText(const Tensor& tensor) {
  return std::string(DTypeName(tensor.dtype()));
}

// `tensor` is whole, a float, and like that of the first part.
absl::Status CheckTensor(const std::string& field, const Tensor& tensor,
                         const Tensor& first) {
  if (tensor.dtype() != first.dtype()) {
    return absl::InvalidArgumentError(
        absl::StrCat(field, ".dtype must equal that of parts[0]; got ",
                     DTypeText(tensor), " vs ", DTypeText(first)));
  }
  if (tensor.shape() != first.shape()) {
    return absl::InvalidArgumentError(absl::StrCat(
        field, ".shape must equal that of parts[0]; got ",
        ShapeText(tensor.shape()), " vs ", ShapeText(first.shape())));
  }
  const absl::Status whole = tensor.Check();
  return whole.ok() ? whole
                    : absl::InvalidArgumentError(
                          absl::StrCat(field, ": ", whole.message()));
}

absl::Status CheckPart(size_t p, const PartialAnswer& part,
                       const PartialAnswer& first) {
  if (!part.output.present()) {
    return absl::InvalidArgumentError(
        absl::StrCat(Field(p, "output"), " is required; got nothing"));
  }
  if (!part.lse.present()) {
    return absl::InvalidArgumentError(
        absl::StrCat(Field(p, "lse"),
                     " is required, ask for it with output.return_lse; got "
                     "nothing"));
  }
  absl::Status status =
      CheckTensor(Field(p, "output"), part.output, first.output);
  status.Update(CheckTensor(Field(p, "lse"), part.lse, first.lse));
  return status;
}

absl::Status CheckDTypes(const PartialAnswer& part) {
  const DType output = part.output.dtype();
  if (output < DType::kF32 || output > DType::kF64) {
    return absl::InvalidArgumentError(absl::StrCat(
        "parts[0].output.dtype must be f32, f16, bf16 or f64; got ",
        DTypeText(part.output)));
  }
  if (part.lse.dtype() != DType::kF32 && part.lse.dtype() != DType::kF64) {
    return absl::InvalidArgumentError(absl::StrCat(
        "parts[0].lse.dtype must be f32 or f64; got ", DTypeText(part.lse)));
  }
  return absl::OkStatus();
}

// REQUIRES: shapes that passed Tensor::Check.
absl::StatusOr<RowOrder> OrderOf(const Shape& output, const Shape& lse,
                                 Layout layout) {
  if (layout < Layout::kUnspecified || layout > Layout::kBse) {
    return absl::InvalidArgumentError(
        absl::StrCat("layout must be an enum number from 0 to 3; got ",
                     static_cast<int>(layout)));
  }
  const bool is_bse = layout == Layout::kBse;
  const bool heads_are_inner = is_bse || layout == Layout::kBshd;
  const size_t axes = is_bse ? 3 : 4;
  if (output.size() != axes) {
    return absl::InvalidArgumentError(
        absl::StrCat("parts[0].output.shape must have ", axes,
                     " axes in this layout; got ", ShapeText(output)));
  }
  Shape expected = {output[0], output[heads_are_inner ? 2 : 1],
                    output[heads_are_inner ? 1 : 2]};
  if (is_bse && lse.size() == 3) {
    expected[1] = lse[1];  // The heads are known from the lse alone.
  }
  if (lse != expected || lse[1] == 0 || (is_bse && output[2] % lse[1] != 0)) {
    return absl::InvalidArgumentError(
        absl::StrCat("parts[0].lse.shape must be [B, num_q_heads, q_len] of "
                     "parts[0].output.shape ",
                     ShapeText(output), "; got ", ShapeText(lse)));
  }
  return RowOrder{.heads = lse[1],
                  .length = lse[2],
                  .dim = is_bse ? output[2] / lse[1] : output[3],
                  .heads_are_inner = heads_are_inner};
}

absl::Status CheckSinks(absl::Span<const float> sinks, int64_t heads) {
  if (!sinks.empty() && sinks.size() != static_cast<size_t>(heads)) {
    return absl::InvalidArgumentError(
        absl::StrCat("sinks must be empty or have num_q_heads = ", heads,
                     " entries; got ", sinks.size()));
  }
  for (size_t h = 0; h < sinks.size(); ++h) {
    if (!std::isfinite(sinks[h])) {
      return absl::InvalidArgumentError(
          absl::StrCat("sinks[", h, "] must be finite; got ", sinks[h]));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<RowOrder> CheckAll(absl::Span<const PartialAnswer> parts,
                                  Layout layout,
                                  absl::Span<const float> sinks) {
  if (parts.empty()) {
    return absl::InvalidArgumentError("parts must not be empty; got 0");
  }
  absl::Status status;
  for (size_t p = 0; p < parts.size(); ++p) {
    status.Update(CheckPart(p, parts[p], parts.front()));
  }
  status.Update(CheckDTypes(parts.front()));
  if (!status.ok()) {
    return status;
  }
  absl::StatusOr<RowOrder> order =
      OrderOf(parts.front().output.shape(), parts.front().lse.shape(), layout);
  if (order.ok()) {
    status = CheckSinks(sinks, order->heads);
  }
  return status.ok() ? order : status;
}

// Turns the parts' lse of a row into their weights and returns the whole's:
// log(sum(exp(terms)) + exp(sink)), from the first to the last; -inf where
// every term is, whatever the sink. `sink` is -inf where there is none. Weights
// are divided by their sum, not by exp(lse): beside an lse of 1e30 (a mask of
// finfo.min) the logarithm of a sum is nothing.
double WeighRow(absl::Span<double> terms, double sink) {
  double largest = kMinusInfinity;
  bool has_key = false;
  for (const double term : terms) {
    largest = std::max(largest, term);
    has_key = has_key || term != kMinusInfinity;  // NaN must not become -inf.
  }
  if (!has_key) {
    std::fill(terms.begin(), terms.end(), 0.0);
    return kMinusInfinity;
  }
  largest = std::max(largest, sink);
  double sum = 0;
  for (double& term : terms) {
    term = std::exp(term - largest);
    sum += term;
  }
  sum += std::exp(sink - largest);
  for (double& term : terms) {
    term /= sum;
  }
  return largest + std::log(sum);
}

using Rows = std::vector<std::vector<double>>;  // [parts][rows]

struct RowWeights {
  Rows parts;
  std::vector<double> lse;  // [rows], the whole's.
};

RowWeights Weigh(const Rows& part_lses, const RowOrder& order,
                 absl::Span<const float> sinks) {
  RowWeights weights{.parts = part_lses, .lse = part_lses.front()};
  std::vector<double> terms(part_lses.size());
  for (size_t row = 0; row < weights.lse.size(); ++row) {
    for (size_t p = 0; p < terms.size(); ++p) {
      terms[p] = part_lses[p][row];
    }
    const size_t head = row / order.length % order.heads;
    weights.lse[row] = WeighRow(absl::MakeSpan(terms),
                                sinks.empty() ? kMinusInfinity : sinks[head]);
    for (size_t p = 0; p < terms.size(); ++p) {
      weights.parts[p][row] = terms[p];
    }
  }
  return weights;
}

// Adds to each row of `sum` that of `output` with its weight.
void AddWeighted(absl::Span<const double> output, absl::Span<const double> lse,
                 absl::Span<const double> weights, const RowOrder& order,
                 std::vector<double>& sum) {
  for (size_t row = 0; row < weights.size(); ++row) {
    if (lse[row] == kMinusInfinity) {
      continue;  // No key: nothing of the output may get in, not even a NaN.
    }
    const size_t begin = order.OutputRow(static_cast<int64_t>(row)) * order.dim;
    for (size_t i = begin; i < begin + order.dim; ++i) {
      sum[i] += weights[row] * output[i];
    }
  }
}

}  // namespace

absl::StatusOr<PartialAnswer> Merge(absl::Span<const PartialAnswer> parts,
                                    Layout layout,
                                    absl::Span<const float> sinks) {
  const absl::StatusOr<RowOrder> order = CheckAll(parts, layout, sinks);
  if (!order.ok()) {
    return order.status();
  }
  Rows part_lses;
  for (const PartialAnswer& part : parts) {
    part_lses.push_back(*part.lse.ToDoubles());
  }
  const RowWeights weights = Weigh(part_lses, *order, sinks);
  const PartialAnswer& first = parts.front();
  std::vector<double> output(*NumElements(first.output.shape()), 0.0);
  for (size_t p = 0; p < parts.size(); ++p) {
    AddWeighted(*parts[p].output.ToDoubles(), part_lses[p], weights.parts[p],
                *order, output);
  }
  return PartialAnswer{
      *Tensor::FromDoubles(output, first.output.shape(), first.output.dtype()),
      *Tensor::FromDoubles(weights.lse, first.lse.shape(), first.lse.dtype())};
}

}  // namespace attn::client
