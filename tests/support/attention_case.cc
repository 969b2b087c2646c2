#include "tests/support/attention_case.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "core/attention/validate.h"
#include "core/base/check.h"
#include "core/tensor/conversions.h"

namespace attn::test {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

TensorSpec MakeTensorSpec(DataType dtype, Dims dims) {
  TensorSpec spec{.is_present = true, .dtype = dtype, .dims = std::move(dims)};
  spec.data_bytes = NumElements(spec.dims).value() * ElementBytes(dtype);
  return spec;
}

Dims TensorDims(const CaseOptions& o, int64_t heads, int64_t length,
                int64_t dim) {
  switch (o.layout) {
    case Layout::kBSHD:
      return {o.batch_size, length, heads, dim};
    case Layout::kBSE:
      return {o.batch_size, length, heads * dim};
    default:
      return {o.batch_size, heads, length, dim};
  }
}

std::vector<std::byte> RandomMask(const TensorSpec& spec, Random& random) {
  const int64_t n = NumElements(spec.dims).value();
  if (spec.dtype != DataType::kBool) {
    std::vector<std::byte> mask = RandomTensor(spec.dtype, n, random);
    const float minus_infinity = -INFINITY;
    for (int64_t i = 0; i < n; ++i) {
      if (random.Chance(0.75)) continue;
      ConvertFromF32(&minus_infinity, 1, spec.dtype,
                     mask.data() + i * ElementBytes(spec.dtype));
    }
    return mask;
  }
  std::vector<std::byte> mask(static_cast<size_t>(n));
  for (std::byte& flag : mask) flag = std::byte{random.Chance(0.75)};
  return mask;
}

// Unit roundoff of what an answer was rounded to.
double Epsilon(DataType dtype) {
  if (dtype == DataType::kF16) return 0x1p-11;
  if (dtype == DataType::kBF16) return 0x1p-8;
  return 0x1p-24;
}

// Tracks the worst element of a comparison.
class Worst {
 public:
  void Check(const char* what, size_t index, double expected, double got,
             double bound) {
    const double error = Error(expected, got);
    const double ratio = error / bound;
    if (error == 0 || !(ratio > ratio_)) return;
    ratio_ = ratio;
    text_ = absl::StrFormat(
        "%s[%d]: expected %.9g, got %.9g, error %.3g, bound %.3g", what, index,
        expected, got, error, bound);
  }
  double ratio() const { return ratio_; }
  std::string Violation() const { return ratio_ > 1 ? text_ : ""; }

 private:
  // NaN equals NaN and an infinity itself; other meetings are infinitely wrong.
  static double Error(double expected, double got) {
    if (std::isnan(expected) && std::isnan(got)) return 0;
    if (expected == got) return 0;
    const double error = std::fabs(expected - got);
    return std::isfinite(error) ? error : kInfinity;
  }

  double ratio_ = 0;
  std::string text_;
};

// Scores grow with |q||k|, and so does their rounding: an error of e in a score
// is a relative error of e in its weight.
double ScoreError(const AttentionCase& c) {
  double largest = 0;
  for (const auto& tensor : {c.query, c.key}) {
    double sum = 0;
    const std::vector<float> values = ToFloats(c.plan.dtype, tensor);
    for (const float v : values) {
      if (std::isfinite(v)) sum = std::max(sum, std::fabs(double{v}));
    }
    largest = std::max(largest, sum);
  }
  const Geometry& g = c.plan.geometry;
  const double root = std::sqrt(static_cast<double>(g.head_dim));
  double steepest = 0;
  for (const float slope : c.plan.params.alibi_slopes) {
    steepest = std::max(steepest, std::fabs(double{slope}));
  }
  const auto distance = static_cast<double>(std::max(g.q_len, g.kv_len));
  return 1 + 0.5 * double{c.plan.scale} * largest * largest * root +
         0.25 * steepest * distance;
}

// Adds one problem's comparison to `worst`.
class ProblemComparison {
 public:
  ProblemComparison(const Problem& problem, double score_error, Worst& worst)
      : p_(problem),
        reference_(AttendReference(problem)),
        score_error_(score_error),
        worst_(worst) {}

  void Run() {
    size_t row_index = 0;
    for (int64_t head = 0; head < p_.group_size; ++head) {
      for (int64_t row = 0; row < p_.q_len; ++row, ++row_index) {
        CompareOutput(head, row, row_index);
        if (p_.lse.data != nullptr) {
          const double lse = reference_.lse[row_index];
          worst_.Check("lse", row_index, lse, double{*p_.lse.Row(head, row)},
                       0x1p-24 * 4 * (score_error_ + std::fabs(lse)));
        }
        if (p_.weights.data != nullptr) CompareWeights(head, row, row_index);
      }
    }
  }

 private:
  void CompareOutput(int64_t head, int64_t row, size_t row_index) {
    const auto dim = static_cast<size_t>(p_.value.dim);
    std::vector<float> got(dim);
    ConvertToF32(p_.output.dtype, p_.output.Row(head, row), p_.value.dim, 1.0f,
                 got.data());
    for (size_t d = 0; d < dim; ++d) {
      const size_t index = row_index * dim + d;
      const double magnitude = reference_.magnitude[index];
      const double bound =
          (Epsilon(p_.output.dtype) * 1.01 + 0x1p-24 * 8 * score_error_) *
              magnitude +
          SmallestStep();
      worst_.Check("output", index, reference_.output[index], double{got[d]},
                   bound);
    }
  }

  // Half of the gap between the smallest numbers of the output dtype.
  double SmallestStep() const {
    return p_.output.dtype == DataType::kF16 ? 0x1p-25 : 1e-37;
  }

  void CompareWeights(int64_t head, int64_t row, size_t row_index) {
    const auto n = static_cast<size_t>(p_.kv_len);
    const float* got = p_.weights.Row(head, row);
    const bool are_scores = p_.weights_mode != WeightsMode::kProbabilities;
    for (size_t j = 0; j < n; ++j) {
      const double expected = reference_.weights[row_index * n + j];
      const double scale = are_scores ? score_error_ + std::fabs(expected)
                                      : score_error_ * std::fabs(expected);
      worst_.Check("weights", row_index * n + j, expected, double{got[j]},
                   0x1p-24 * 8 * scale + 1e-37);
    }
  }

  const Problem& p_;
  const ReferenceResult reference_;
  const double score_error_;
  Worst& worst_;
};

}  // namespace

AttentionOutputs::AttentionOutputs(const AttentionPlan& plan)
    : output(static_cast<size_t>(plan.output_bytes), std::byte{0xee}),
      lse(static_cast<size_t>(plan.lse_bytes), std::byte{0xee}),
      weights(static_cast<size_t>(plan.weights_bytes), std::byte{0xee}) {}

void AttentionOutputs::AddTo(RequestBuffers& buffers) {
  buffers.output = output.data();
  buffers.lse = lse.empty() ? nullptr : lse.data();
  buffers.weights = weights.empty() ? nullptr : weights.data();
}

RequestSpec MakeSpec(const CaseOptions& o) {
  RequestSpec spec;
  spec.query = MakeTensorSpec(
      o.dtype, TensorDims(o, o.num_q_heads, o.q_len, o.head_dim));
  spec.key = MakeTensorSpec(
      o.dtype, TensorDims(o, o.num_kv_heads, o.kv_len, o.head_dim));
  spec.value = MakeTensorSpec(
      o.dtype, TensorDims(o, o.num_kv_heads, o.kv_len, o.value_head_dim));
  if (o.has_mask) {
    spec.attn_mask = MakeTensorSpec(
        o.mask_dtype, Dims(o.mask_dims.begin(), o.mask_dims.end()));
  }
  spec.layout = o.layout;
  if (o.layout == Layout::kBSE) {
    spec.num_q_heads = o.num_q_heads;
    spec.num_kv_heads = o.num_kv_heads;
  }
  spec.kv_lengths = o.kv_lengths;
  spec.params = o.params;
  spec.output = o.output;
  return spec;
}

AttentionCase MakeCase(const CaseOptions& options) {
  AttentionCase made;
  made.spec = MakeSpec(options);
  auto plan = ValidateRequest(made.spec, RequestLimits{});
  if (!plan.ok())
    std::fprintf(stderr, "%s\n", plan.status().ToString().c_str());
  ATTN_CHECK(plan.ok());
  made.plan = *std::move(plan);
  Random random(options.seed);
  const auto tensor = [&](const TensorSpec& spec) {
    return RandomTensor(spec.dtype, NumElements(spec.dims).value(), random);
  };
  made.query = tensor(made.spec.query);
  made.key = tensor(made.spec.key);
  made.value = tensor(made.spec.value);
  if (options.has_mask) made.mask = RandomMask(made.spec.attn_mask, random);
  return made;
}

std::vector<std::byte> RandomTensor(DataType dtype, int64_t n, Random& random) {
  std::vector<std::byte> bytes(static_cast<size_t>(n * ElementBytes(dtype)));
  for (int64_t i = 0; i < n; ++i) {
    const auto value = static_cast<float>(random.Gaussian());
    ConvertFromF32(&value, 1, dtype, bytes.data() + i * ElementBytes(dtype));
  }
  return bytes;
}

std::vector<float> ToFloats(DataType dtype,
                            const std::vector<std::byte>& from) {
  ATTN_CHECK(ElementBytes(dtype) > 0);
  const int64_t n = static_cast<int64_t>(from.size()) / ElementBytes(dtype);
  std::vector<float> floats(static_cast<size_t>(n));
  ConvertToF32(dtype, from.data(), n, 1.0f, floats.data());
  return floats;
}

std::string CompareWithReference(const AttentionCase& c,
                                 const AttentionOutputs& outputs,
                                 double* worst_ratio) {
  Worst worst;
  RequestBuffers buffers = c.Inputs();
  AttentionOutputs copy = outputs;
  copy.AddTo(buffers);
  const double score_error = ScoreError(c);
  for (int64_t b = 0; b < c.plan.geometry.batch_size; ++b) {
    for (int64_t head = 0; head < c.plan.geometry.num_kv_heads; ++head) {
      const Problem problem = MakeProblem(c.plan, buffers, b, head);
      ProblemComparison(problem, score_error, worst).Run();
    }
  }
  if (worst_ratio != nullptr) *worst_ratio = worst.ratio();
  return worst.Violation();
}

}  // namespace attn::test
