#include "core/attention/split_kv.h"

#include <algorithm>

#include "absl/container/inlined_vector.h"
#include "core/attention/decode_kernel.h"
#include "core/attention/kernel_choice.h"
#include "core/attention/merge.h"
#include "core/base/checked_math.h"
#include "core/tensor/conversions.h"

namespace attn {
namespace {

static_assert(kSplitKeys % kPageTokens == 0 && kSplitKeys % kDecodeKeys == 0);

// The answers of one split.
struct SplitAnswer {
  float* output = nullptr;
  float* lse = nullptr;
};

SplitAnswer AnswerOf(const Problem& whole, int64_t split, float* answers) {
  const int64_t outputs = whole.num_rows() * whole.value.dim;
  float* output = answers + split * (outputs + whole.num_rows());
  return {output, output + outputs};
}

}  // namespace

int64_t NumSplits(const AttentionPlan& plan) {
  const bool is_cut = ChooseKernel(plan).kind == KernelKind::kDecode &&
                      plan.weights_bytes == 0 && plan.top_bytes == 0;
  if (!is_cut) return 1;
  return std::max<int64_t>(1, DivideUp(plan.geometry.kv_len, kSplitKeys));
}

int64_t SplitAnswerFloats(const AttentionPlan& plan) {
  const int64_t num_splits = NumSplits(plan);
  if (num_splits == 1) return 0;
  const Geometry& g = plan.geometry;
  return num_splits * g.group_size() * g.q_len * (g.value_head_dim + 1);
}

Problem SplitProblem(const Problem& whole, int64_t split, float* answers) {
  const SplitAnswer answer = AnswerOf(whole, split, answers);
  Problem part = whole;
  part.structure.kv_first =
      std::max(whole.structure.kv_first, split * kSplitKeys);
  part.structure.kv_limit =
      std::min(whole.structure.kv_limit, (split + 1) * kSplitKeys);
  const int64_t dim = whole.value.dim;
  part.output = {.data = reinterpret_cast<std::byte*>(answer.output),
                 .dtype = DataType::kF32,
                 .dim = dim,
                 .head_stride = whole.q_len * dim,
                 .row_stride = dim};
  part.lse = {.data = answer.lse, .head_stride = whole.q_len, .row_stride = 1};
  part.sinks = nullptr;
  return part;
}

void MergeSplits(const Problem& whole, int64_t num_splits, float* answers) {
  absl::InlinedVector<PartialAnswer, 64> parts;
  for (int64_t split = 0; split < num_splits; ++split) {
    const SplitAnswer answer = AnswerOf(whole, split, answers);
    parts.push_back({answer.output, answer.lse});
  }
  float sinks[kMaxDecodeRows];
  for (int64_t row = 0; row < whole.num_rows(); ++row) {
    sinks[row] = whole.sinks == nullptr ? 0.0f : whole.sinks[row / whole.q_len];
  }
  const SplitAnswer merged = AnswerOf(whole, 0, answers);
  const int64_t dim = whole.value.dim;
  Merge(parts, whole.sinks == nullptr ? nullptr : sinks, whole.num_rows(), dim,
        merged.output, merged.lse);
  for (int64_t row = 0; row < whole.num_rows(); ++row) {
    const int64_t head = row / whole.q_len;
    const int64_t r = row % whole.q_len;
    ConvertFromF32(merged.output + row * dim, dim, whole.output.dtype,
                   whole.output.Row(head, r));
    if (whole.lse.data != nullptr) *whole.lse.Row(head, r) = merged.lse[row];
  }
}

}  // namespace attn
