#include "tests/support/comparison.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "core/attention/reference_kernel.h"
#include "core/tensor/conversions.h"

namespace attn::test {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kEpsilonF32 = 0x1p-24;

// Unit roundoff of what a number was rounded to.
double Epsilon(DataType dtype) {
  if (dtype == DataType::kF64) return 0x1p-53;
  if (dtype == DataType::kF16) return 0x1p-11;
  return dtype == DataType::kBF16 ? 0x1p-8 : kEpsilonF32;
}

// Half of the gap between the smallest numbers of the output dtype; with room
// for what workers flush to 0.
double SmallestStep(DataType dtype) {
  return dtype == DataType::kF16 ? 0x1p-25 : 1e-37;
}

// Tracks the worst element of a comparison, and the mean of all.
class Verdicts {
 public:
  void Check(const char* what, size_t index, double expected, double got,
             double bound) {
    const double error = Error(expected, got);
    // Beside an lse of -infinity the bound is none, and the ratio was NaN.
    const double ratio =
        std::isfinite(bound) ? std::fabs(error) / bound : kInfinity;
    if (error == 0 || !(ratio > ratio_)) return;
    ratio_ = ratio;
    text_ = absl::StrFormat(
        "%s[%d]: expected %.9g, got %.9g, error %.3g, bound %.3g", what, index,
        expected, got, error, bound);
  }
  // The same for an element of the output, whose errors must also even out.
  void CheckOutput(size_t index, double expected, double got, double bound) {
    Check("output", index, expected, got, bound);
    const double error = Error(expected, got);
    if (std::isfinite(error)) Count(error / bound);
  }
  void Fail(const std::string& text) {
    ratio_ = kInfinity;
    text_ = text;
  }

  double ratio() const { return ratio_; }

  std::string Violation() const {
    if (ratio_ > 1) return text_;
    if (count_ < kEnough) return "";
    const double mean = sum_ / count_;
    const double rms = std::sqrt(squares_ / count_);
    if (std::fabs(mean) > 0.1 || rms > 0.6) {
      return absl::StrFormat("mean error %.3f and L2 %.3f of the bound", mean,
                             rms);
    }
    return "";
  }

 private:
  static constexpr double kEnough = 2000;

  // NaN equals NaN and an infinity itself; other meetings are infinitely wrong.
  static double Error(double expected, double got) {
    if (std::isnan(expected) && std::isnan(got)) return 0;
    if (expected == got) return 0;
    const double error = got - expected;
    return std::isfinite(error) ? error : kInfinity;
  }

  void Count(double share) {
    ++count_;
    sum_ += share;
    squares_ += share * share;
  }

  double ratio_ = 0;
  std::string text_;
  double count_ = 0;
  double sum_ = 0;
  double squares_ = 0;
};

double LargestMagnitude(DataType dtype, const std::vector<std::byte>& tensor) {
  double largest = 0;
  for (const double value : ToDoubles(dtype, tensor)) {
    if (std::isfinite(value)) largest = std::max(largest, std::fabs(value));
  }
  return largest;
}

// By how many roundings of the arithmetic a score may be off. Scores grow with
// |q||k|, and so does their rounding: an error of e in a score is a relative
// error of e in its weight.
double ScoreError(const AttentionCase& c) {
  double largest = std::max(LargestMagnitude(c.plan.dtype, c.query),
                            LargestMagnitude(c.plan.dtype, c.key));
  // A pair turned by random tables may grow.
  if (c.plan.rope.is_on()) {
    largest *= 1 + LargestMagnitude(c.plan.rope.table_dtype, c.cos) +
               LargestMagnitude(c.plan.rope.table_dtype, c.sin);
  }
  const Geometry& g = c.plan.geometry;
  const double root = std::sqrt(static_cast<double>(g.head_dim));
  double steepest = 0;
  for (const float slope : c.plan.params.alibi_slopes) {
    steepest = std::max(steepest, std::fabs(double{slope}));
  }
  const auto distance = static_cast<double>(std::max(g.q_len, g.kv_len));
  return 1 + 0.5 * c.plan.scale * largest * largest * root +
         0.25 * steepest * distance;
}

// Adds one problem's comparison to the verdicts.
class ProblemComparison {
 public:
  ProblemComparison(const Problem& problem, DataType arithmetic,
                    double score_error, Verdicts& verdicts)
      : p_(problem),
        epsilon_(Epsilon(arithmetic)),
        score_error_(score_error),
        verdicts_(verdicts) {
    reference_ = AttendReference(problem);
    if (p_.top.top_k == 0) return;
    Problem with_weights = problem;
    with_weights.weights_mode = WeightsMode::kProbabilities;
    probabilities_ = AttendReference(with_weights).weights;
    with_weights.weights_mode = WeightsMode::kBiased;
    biased_ = AttendReference(with_weights).weights;
  }

  void Run() {
    size_t row_index = 0;
    for (int64_t head = 0; head < p_.group_size; ++head) {
      for (int64_t row = 0; row < p_.q_len; ++row, ++row_index) {
        CompareOutput(head, row, row_index);
        if (p_.lse.data != nullptr) {
          const double lse = reference_.lse[row_index];
          verdicts_.Check("lse", row_index, lse, double{*p_.lse.Row(head, row)},
                          Bound(score_error_ + std::fabs(lse), lse));
        }
        if (p_.weights.data != nullptr) CompareWeights(head, row, row_index);
        if (p_.top.top_k > 0) CompareTop(head, row, row_index);
      }
    }
  }

 private:
  // Of a number of about `scale` made by the arithmetic and rounded to f32.
  double Bound(double scale, double value) const {
    return epsilon_ * 8 * scale + kEpsilonF32 * 1.01 * std::fabs(value) + 1e-37;
  }

  void CompareOutput(int64_t head, int64_t row, size_t row_index) {
    const auto dim = static_cast<size_t>(p_.value.dim);
    std::vector<double> got(dim);
    ConvertToF64(p_.output.dtype, p_.output.Row(head, row), p_.value.dim,
                 got.data());
    for (size_t d = 0; d < dim; ++d) {
      const size_t index = row_index * dim + d;
      const double magnitude = reference_.magnitude[index];
      const double bound =
          (Epsilon(p_.output.dtype) * 1.01 + epsilon_ * 8 * score_error_) *
              magnitude +
          SmallestStep(p_.output.dtype);
      verdicts_.CheckOutput(index, reference_.output[index], got[d], bound);
    }
  }

  void CompareWeights(int64_t head, int64_t row, size_t row_index) {
    const auto n = static_cast<size_t>(p_.kv_len);
    const float* got = p_.weights.Row(head, row);
    const bool are_scores = p_.weights_mode != WeightsMode::kProbabilities;
    for (size_t j = 0; j < n; ++j) {
      const double expected = reference_.weights[row_index * n + j];
      const double scale = are_scores ? score_error_ + std::fabs(expected)
                                      : score_error_ * std::fabs(expected);
      verdicts_.Check("weights", row_index * n + j, expected, double{got[j]},
                      std::isfinite(scale) ? Bound(scale, expected) : 1e-37);
    }
  }

  // The listed keys are allowed, distinct and in order, their probabilities
  // right, and no other allowed key has a larger one.
  void CompareTop(int64_t head, int64_t row, size_t row_index) {
    const int64_t place = p_.top.Place(head, row);
    const int32_t* indices = p_.top.indices + place;
    const float* probabilities = p_.top.probabilities + place;
    const double* weights =
        probabilities_.data() + row_index * static_cast<size_t>(p_.kv_len);
    const double* logits =
        biased_.data() + row_index * static_cast<size_t>(p_.kv_len);
    std::vector<bool> is_left(static_cast<size_t>(p_.kv_len));
    int64_t num_allowed = 0;
    for (int64_t j = 0; j < p_.kv_len; ++j) {
      is_left[static_cast<size_t>(j)] = logits[j] != -kInfinity;
      num_allowed += logits[j] != -kInfinity ? 1 : 0;
    }
    double smallest = kInfinity;
    for (int64_t i = 0; i < p_.top.top_k; ++i) {
      const int64_t key = indices[i];
      if (i >= num_allowed) {
        if (key != -1 || probabilities[i] != 0) verdicts_.Fail("top: padding");
        continue;
      }
      if (key < 0 || key >= p_.kv_len || !is_left[static_cast<size_t>(key)]) {
        return verdicts_.Fail(absl::StrCat("top: key ", key, " at ", i));
      }
      is_left[static_cast<size_t>(key)] = false;
      verdicts_.Check("top", static_cast<size_t>(place + i), weights[key],
                      double{probabilities[i]},
                      Bound(score_error_ * weights[key], weights[key]));
      if (double{probabilities[i]} > smallest) verdicts_.Fail("top: order");
      smallest = double{probabilities[i]};
    }
    for (int64_t j = 0; j < p_.kv_len; ++j) {
      if (is_left[static_cast<size_t>(j)] &&
          weights[j] >
              smallest + 2 * Bound(score_error_ * weights[j], weights[j])) {
        verdicts_.Fail(absl::StrCat("top: key ", j, " left out"));
      }
    }
  }

  const Problem& p_;
  const double epsilon_;
  const double score_error_;
  Verdicts& verdicts_;
  ReferenceResult reference_;
  std::vector<double> probabilities_;  // [group_size, q_len, kv_len]
  std::vector<double> biased_;
};

// compare(problem) for every problem of the case, with the outputs in place.
template <typename Compare>
void ForEachProblem(const AttentionCase& c, const AttentionOutputs& outputs,
                    const Compare& compare) {
  RequestBuffers buffers = c.Inputs();
  AttentionOutputs copy = outputs;
  copy.AddTo(buffers);
  for (int64_t b = 0; b < c.plan.geometry.batch_size; ++b) {
    for (int64_t head = 0; head < c.plan.geometry.num_kv_heads; ++head) {
      compare(MakeProblem(c.plan, buffers, b, head));
    }
  }
}

// [group_size, q_len, value_head_dim]
std::vector<double> OutputOf(const Problem& p) {
  std::vector<double> output(static_cast<size_t>(p.num_rows() * p.value.dim));
  double* row_output = output.data();
  for (int64_t head = 0; head < p.group_size; ++head) {
    for (int64_t row = 0; row < p.q_len; ++row, row_output += p.value.dim) {
      ConvertToF64(p.output.dtype, p.output.Row(head, row), p.value.dim,
                   row_output);
    }
  }
  return output;
}

}  // namespace

std::string CompareWithReference(const AttentionCase& c,
                                 const AttentionOutputs& outputs,
                                 double* worst_ratio) {
  Verdicts verdicts;
  const double score_error = ScoreError(c);
  ForEachProblem(c, outputs, [&](const Problem& problem) {
    ProblemComparison(problem, c.plan.compute_dtype(), score_error, verdicts)
        .Run();
  });
  if (worst_ratio != nullptr) *worst_ratio = verdicts.ratio();
  return verdicts.Violation();
}

double LargestError(const AttentionCase& c, const AttentionOutputs& outputs) {
  double largest = 0;
  ForEachProblem(c, outputs, [&](const Problem& p) {
    const std::vector<double> expected = AttendReference(p).output;
    const std::vector<double> got = OutputOf(p);
    for (size_t i = 0; i < got.size(); ++i) {
      const double error = std::fabs(got[i] - expected[i]);
      // NaN would be no larger than anything.
      largest = std::isnan(error) ? kInfinity : std::max(largest, error);
    }
  });
  return largest;
}

}  // namespace attn::test
