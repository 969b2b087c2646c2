#include "core/attention/validate.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/attention/validate_rope.h"
#include "core/attention/validate_tensors.h"
#include "core/base/checked_math.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"

namespace attn {
namespace {

// An enum number must be one of 0..last.
template <typename Enum>
absl::Status CheckEnum(std::string_view field, Enum value, Enum last) {
  const auto number = static_cast<int32_t>(value);
  if (number >= 0 && number <= static_cast<int32_t>(last)) {
    return absl::OkStatus();
  }
  return InvalidOption(field,
                       absl::StrCat("must be an enum number from 0 to ",
                                    static_cast<int32_t>(last)),
                       absl::StrCat(number));
}

// NaN fails the comparison, too.
absl::Status CheckFiniteNotNegative(std::string_view field, float value) {
  if (value >= 0 && std::isfinite(value)) return absl::OkStatus();
  return InvalidOption(field, "must be finite and not negative",
                       absl::StrCat(value));
}

absl::Status CheckWindow(std::string_view field,
                         const std::optional<int64_t>& window) {
  if (!window.has_value() || *window >= 0) return absl::OkStatus();
  return InvalidOption(field, "must not be negative", absl::StrCat(*window));
}

// One number for each query head, none of them NaN.
absl::Status CheckPerHead(std::string_view field,
                          const std::vector<float>& values,
                          const Geometry& geometry) {
  if (values.empty()) return absl::OkStatus();
  if (values.size() != static_cast<size_t>(geometry.num_q_heads)) {
    return InvalidOption(field,
                         absl::StrCat("must be empty or have num_q_heads = ",
                                      geometry.num_q_heads, " entries"),
                         absl::StrCat(values.size()));
  }
  for (size_t head = 0; head < values.size(); ++head) {
    if (!std::isfinite(values[head])) {
      return InvalidOption(absl::StrCat(std::string(field), "[", head, "]"),
                           "must be finite", absl::StrCat(values[head]));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckEnums(const RequestSpec& spec) {
  ATTN_RETURN_IF_ERROR(CheckEnum("layout", spec.layout, Layout::kBSE));
  ATTN_RETURN_IF_ERROR(
      CheckEnum("params.causal", spec.params.causal, CausalMode::kBottomRight));
  return CheckEnum("output.weights", spec.output.weights,
                   WeightsMode::kProbabilities);
}

absl::Status CheckParams(const AttentionParams& params,
                         const Geometry& geometry) {
  if (params.scale.has_value()) {
    ATTN_RETURN_IF_ERROR(CheckFiniteNotNegative("params.scale", *params.scale));
  }
  ATTN_RETURN_IF_ERROR(
      CheckFiniteNotNegative("params.softcap", params.softcap));
  ATTN_RETURN_IF_ERROR(CheckWindow("params.left_window", params.left_window));
  ATTN_RETURN_IF_ERROR(CheckWindow("params.right_window", params.right_window));
  ATTN_RETURN_IF_ERROR(
      CheckPerHead("params.alibi_slopes", params.alibi_slopes, geometry));
  return CheckPerHead("params.sinks", params.sinks, geometry);
}

absl::Status CheckKvLengths(const std::vector<int64_t>& kv_lengths,
                            const Geometry& geometry) {
  if (kv_lengths.empty()) return absl::OkStatus();
  if (kv_lengths.size() != static_cast<size_t>(geometry.batch_size)) {
    return InvalidOption("kv_lengths",
                         absl::StrCat("must be empty or have batch_size = ",
                                      geometry.batch_size, " entries"),
                         absl::StrCat(kv_lengths.size()));
  }
  for (size_t b = 0; b < kv_lengths.size(); ++b) {
    if (kv_lengths[b] < 0 || kv_lengths[b] > geometry.kv_len) {
      return InvalidOption(
          absl::StrCat("kv_lengths[", b, "]"),
          absl::StrCat("must be from 0 to kv_len ", geometry.kv_len),
          absl::StrCat(kv_lengths[b]));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckOutputDtype(DataType dtype) {
  switch (dtype) {
    case DataType::kUnspecified:
    case DataType::kF32:
    case DataType::kF16:
    case DataType::kBF16:
    case DataType::kF64:
      return absl::OkStatus();
    default:
      break;
  }
  return InvalidOption("output.dtype", "must be F32, F16, BF16 or F64",
                       absl::StrCat(std::string(DataTypeName(dtype)), " (",
                                    static_cast<int32_t>(dtype), ")"));
}

absl::Status CheckTopK(int64_t top_k) {
  if (top_k <= kMaxTopK) return absl::OkStatus();
  return InvalidOption("output.top_k",
                       absl::StrCat("must be at most ", kMaxTopK),
                       absl::StrCat(top_k));
}

// Product of sizes that came from outside; nothing on overflow.
std::optional<int64_t> Product(std::initializer_list<int64_t> factors) {
  return NumElements(absl::MakeConstSpan(factors.begin(), factors.size()));
}

// For sums that must not overflow.
double Bytes(std::optional<int64_t> size) {
  return static_cast<double>(size.value_or(INT64_MAX));
}

// Sizes of the reply's tensors. They may be large although the request is
// small: an empty value tensor can declare any value_head_dim.
absl::Status PlanReply(const RequestSpec& spec, const RequestLimits& limits,
                       AttentionPlan& plan) {
  const Geometry& g = plan.geometry;
  const auto output =
      Product({g.batch_size, g.num_q_heads, g.q_len, g.value_head_dim,
               ElementBytes(plan.output_dtype)});
  const auto lse =
      Product({g.batch_size, g.num_q_heads, g.q_len, int64_t{sizeof(float)}});
  const auto weights = Product(
      {g.batch_size, g.num_q_heads, g.q_len, g.kv_len, int64_t{sizeof(float)}});
  const auto top = Product({g.batch_size, g.num_q_heads, g.q_len,
                            plan.output.top_k, int64_t{sizeof(float)}});
  const bool has_weights = plan.output.weights != WeightsMode::kNone;
  const double total =
      Bytes(spec.reply_output_bytes.has_value() ? spec.reply_output_bytes
                                                : output) +
      (plan.output.return_lse ? Bytes(lse) : 0.0) +
      (has_weights ? Bytes(weights) : 0.0) + 2 * Bytes(top);
  if (total > static_cast<double>(limits.max_reply_bytes)) {
    return TooLarge("the reply's tensors", total,
                    static_cast<double>(limits.max_reply_bytes));
  }
  plan.output_bytes = *output;
  plan.lse_bytes = plan.output.return_lse ? *lse : 0;
  plan.weights_bytes = has_weights ? *weights : 0;
  plan.top_bytes = *top;
  return absl::OkStatus();
}

double Scale(const AttentionParams& params, int64_t head_dim) {
  return params.scale.has_value()
             ? double{*params.scale}
             : 1.0 / std::sqrt(static_cast<double>(head_dim));
}

void ResolveOptions(const RequestSpec& spec, AttentionPlan& plan) {
  plan.layout =
      spec.layout == Layout::kUnspecified ? Layout::kBHSD : spec.layout;
  plan.dtype = spec.query.dtype;
  plan.output_dtype = spec.output.dtype == DataType::kUnspecified
                          ? plan.dtype
                          : spec.output.dtype;
  plan.scale = Scale(spec.params, plan.geometry.head_dim);
  plan.params = spec.params;
  plan.output = spec.output;
  plan.kv_lengths = spec.kv_lengths;
  plan.query_bytes = spec.query.data_bytes;
}

absl::Status CheckOutputOptions(const OutputOptions& output) {
  ATTN_RETURN_IF_ERROR(CheckOutputDtype(output.dtype));
  return CheckTopK(output.top_k);
}

// The rules that follow once the sizes are known, and what they resolve.
absl::StatusOr<AttentionPlan> FinishPlan(const RequestSpec& spec,
                                         const RequestLimits& limits,
                                         AttentionPlan plan) {
  ATTN_RETURN_IF_ERROR(CheckParams(spec.params, plan.geometry));
  if (plan.has_session && !spec.kv_lengths.empty()) {
    return InvalidOption("kv_lengths", "must be absent with a session",
                         absl::StrCat(spec.kv_lengths.size(), " entries"));
  }
  ATTN_RETURN_IF_ERROR(CheckKvLengths(spec.kv_lengths, plan.geometry));
  ResolveOptions(spec, plan);
  ATTN_RETURN_IF_ERROR(CheckMask(spec.attn_mask, plan));
  ATTN_RETURN_IF_ERROR(PlanRope(spec, plan));
  ATTN_RETURN_IF_ERROR(PlanReply(spec, limits, plan));
  return plan;
}

}  // namespace

absl::StatusOr<AttentionPlan> ValidateRequest(const RequestSpec& spec,
                                              const RequestLimits& limits) {
  ATTN_RETURN_IF_ERROR(CheckEnums(spec));
  ATTN_RETURN_IF_ERROR(CheckTensor("query", spec.query));
  ATTN_RETURN_IF_ERROR(CheckTensor("key", spec.key));
  ATTN_RETURN_IF_ERROR(CheckTensor("value", spec.value));
  ATTN_RETURN_IF_ERROR(CheckDtypes(spec));
  ATTN_RETURN_IF_ERROR(CheckOutputOptions(spec.output));
  AttentionPlan plan;
  ATTN_ASSIGN_OR_RETURN(plan.geometry, CheckShapes(spec));
  plan.key_bytes = spec.key.data_bytes;
  plan.value_bytes = spec.value.data_bytes;
  return FinishPlan(spec, limits, std::move(plan));
}

absl::Status CheckAppendAlone(const RequestSpec& spec) {
  ATTN_RETURN_IF_ERROR(CheckEnum("layout", spec.layout, Layout::kBSE));
  ATTN_RETURN_IF_ERROR(CheckTensor("key", spec.key));
  return CheckTensor("value", spec.value);
}

absl::StatusOr<AttentionPlan> ValidateSessionRequest(
    const RequestSpec& spec, const SessionLayer& layer,
    const RequestLimits& limits) {
  ATTN_RETURN_IF_ERROR(CheckEnums(spec));
  ATTN_RETURN_IF_ERROR(CheckTensor("query", spec.query));
  ATTN_RETURN_IF_ERROR(CheckFloat("query", spec.query.dtype));
  ATTN_ASSIGN_OR_RETURN(const int64_t num_appended, CheckAppend(spec, layer));
  ATTN_RETURN_IF_ERROR(CheckOutputOptions(spec.output));
  AttentionPlan plan;
  ATTN_ASSIGN_OR_RETURN(plan.geometry,
                        CheckSessionShapes(spec, layer, num_appended));
  plan.has_session = true;
  plan.past_len = layer.past_len;
  ATTN_ASSIGN_OR_RETURN(plan, FinishPlan(spec, limits, std::move(plan)));
  if (layer.window > 0) {
    plan.params.left_window = std::min(
        plan.params.left_window.value_or(layer.window - 1), layer.window - 1);
  }
  return plan;
}

}  // namespace attn
