#include "core/engine/forward_plan.h"

#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "core/attention/validate_tensors.h"
#include "core/base/checked_math.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"

namespace attn {
namespace {

bool IsServed(DataType dtype) {
  return dtype == DataType::kF32 || dtype == DataType::kF16 ||
         dtype == DataType::kBF16;
}

// [B, length, hidden_dim] of a dtype that layers take.
absl::Status CheckStates(std::string_view field, const TensorSpec& tensor,
                         const AttentionLayer& layer) {
  ATTN_RETURN_IF_ERROR(CheckTensor(field, tensor));
  const std::string name(field);
  if (!IsServed(tensor.dtype)) {
    return InvalidTensor(name + ".dtype", "must be F32, F16 or BF16",
                         DataTypeName(tensor.dtype));
  }
  if (tensor.dims.size() != 3 || tensor.dims[2] != layer.hidden_dim) {
    return InvalidTensor(name + ".shape",
                         absl::StrCat("must be [B, length, hidden_dim = ",
                                      layer.hidden_dim, "]"),
                         ToString(tensor.dims));
  }
  if (tensor.dims[0] >= 1) return absl::OkStatus();
  return InvalidTensor(name + ".shape[0]", "must be at least 1", "0");
}

absl::Status CheckContext(const ForwardSpec& spec,
                          const AttentionLayer& layer) {
  if (!spec.context.is_present) return absl::OkStatus();
  ATTN_RETURN_IF_ERROR(CheckStates("context", spec.context, layer));
  if (spec.context.dtype != spec.hidden.dtype) {
    return InvalidTensor(
        "context.dtype", "must equal hidden.dtype",
        absl::StrCat(std::string(DataTypeName(spec.context.dtype)), " vs ",
                     std::string(DataTypeName(spec.hidden.dtype))));
  }
  if (spec.context.dims[0] == spec.hidden.dims[0]) return absl::OkStatus();
  return InvalidTensor(
      "context.shape[0]", "must equal hidden.shape[0]",
      absl::StrCat(spec.context.dims[0], " vs ", spec.hidden.dims[0]));
}

// What it broadcasts to is attention's to say.
absl::Status CheckMask(const ForwardSpec& spec) {
  const TensorSpec& mask = spec.attn_mask;
  if (!mask.is_present) return absl::OkStatus();
  ATTN_RETURN_IF_ERROR(CheckTensor("attn_mask", mask));
  if (mask.dtype == DataType::kBool || mask.dtype == DataType::kF32 ||
      mask.dtype == spec.hidden.dtype) {
    return absl::OkStatus();
  }
  return InvalidTensor(
      "attn_mask.dtype",
      absl::StrCat("must be BOOL, F32 or hidden.dtype ",
                   std::string(DataTypeName(spec.hidden.dtype))),
      DataTypeName(mask.dtype));
}

absl::Status CheckBatch(const ForwardSpec& spec, bool has_session) {
  if (!has_session || spec.hidden.dims[0] == 1) return absl::OkStatus();
  return InvalidTensor("hidden.shape[0]", "must be 1 with a session",
                       absl::StrCat(spec.hidden.dims[0]));
}

absl::Status CheckOptions(const ForwardSpec& spec,
                          const AttentionLayer& layer) {
  if (spec.causal.has_value()) {
    const auto causal = static_cast<int32_t>(*spec.causal);
    if (causal < 0 || causal > static_cast<int32_t>(CausalMode::kBottomRight)) {
      return InvalidOption("causal", "must be an enum number from 0 to 2",
                           absl::StrCat(causal));
    }
  }
  if (layer.rope == nullptr && !spec.positions.empty()) {
    return InvalidOption("positions", "must be absent for a layer without rope",
                         absl::StrCat(spec.positions.size(), " entries"));
  }
  const DataType dtype = spec.output.dtype;
  if (dtype == DataType::kUnspecified || IsServed(dtype)) {
    return absl::OkStatus();
  }
  return InvalidOption("output.dtype", "must be F32, F16 or BF16",
                       absl::StrCat(std::string(DataTypeName(dtype)), " (",
                                    static_cast<int32_t>(dtype), ")"));
}

// Rows of f32 with `width` elements.
absl::StatusOr<int64_t> RowBytes(std::string_view field, int64_t num_rows,
                                 int64_t width, int64_t element_bytes) {
  const auto elements = CheckedMul(num_rows, width);
  const auto bytes =
      elements.has_value() ? CheckedMul(*elements, element_bytes) : elements;
  if (bytes.has_value()) return *bytes;
  return InvalidTensor(field, "must have projections that fit memory",
                       absl::StrCat(num_rows, " rows"));
}

TensorSpec Projected(const ForwardPlan& plan, int64_t length, int64_t width,
                     int64_t bytes) {
  return {.is_present = true,
          .dtype = DataType::kF32,
          .dims = {plan.batch_size, length, width},
          .data_bytes = bytes};
}

// As attention takes it: in bool or f32.
TensorSpec MaskOf(const ForwardSpec& spec) {
  TensorSpec mask = spec.attn_mask;
  if (!mask.is_present || mask.dtype == DataType::kBool) return mask;
  mask.data_bytes =
      mask.data_bytes / ElementBytes(mask.dtype) * ElementBytes(DataType::kF32);
  mask.dtype = DataType::kF32;
  return mask;
}

AttentionParams ParamsOf(const AttentionLayer& layer, const ForwardSpec& spec,
                         bool has_context) {
  AttentionParams params;
  params.scale = static_cast<float>(layer.scale);
  params.causal = spec.causal.value_or(layer.causal);
  params.causal_offset = spec.causal_offset;
  if (layer.window > 0) params.left_window = layer.window - 1;
  if (layer.rope != nullptr) {
    params.rope = {
        .rotary_dim = 2 * std::ssize(layer.rope->per_position),
        .frequencies = layer.rope,
        .positions = spec.positions,
        .counts_keys = has_context,
    };
  }
  return params;
}

absl::Status PlanBytes(const AttentionLayer& layer, ForwardPlan& plan) {
  const auto f32 = int64_t{sizeof(float)};
  ATTN_ASSIGN_OR_RETURN(plan.query_bytes,
                        RowBytes("hidden.shape", plan.num_rows(),
                                 layer.num_q_heads * layer.head_dim, f32));
  ATTN_ASSIGN_OR_RETURN(
      plan.kv_bytes,
      RowBytes(plan.has_context ? "context.shape" : "hidden.shape",
               plan.num_kv_rows(), layer.num_kv_heads * layer.head_dim, f32));
  ATTN_ASSIGN_OR_RETURN(
      plan.output_f32_bytes,
      RowBytes("hidden.shape", plan.num_rows(), layer.output_dim, f32));
  plan.output_bytes =
      plan.output_f32_bytes / f32 * ElementBytes(plan.output_dtype);
  return absl::OkStatus();
}

void PlanAttention(const AttentionLayer& layer, const ForwardSpec& spec,
                   ForwardPlan& plan) {
  const int64_t q_width = layer.num_q_heads * layer.head_dim;
  const int64_t kv_width = layer.num_kv_heads * layer.head_dim;
  RequestSpec& attention = plan.attention;
  attention.query = Projected(plan, plan.q_len, q_width, plan.query_bytes);
  attention.key = Projected(plan, plan.kv_len, kv_width, plan.kv_bytes);
  attention.value = attention.key;
  attention.attn_mask = MaskOf(spec);
  attention.layout = Layout::kBSE;
  attention.num_q_heads = layer.num_q_heads;
  attention.num_kv_heads = layer.num_kv_heads;
  attention.kv_lengths = spec.kv_lengths;
  attention.params = ParamsOf(layer, spec, plan.has_context);
  attention.rope_field = "";
  attention.output = spec.output;
  attention.output.dtype = DataType::kF32;
  attention.reply_output_bytes = plan.output_bytes;
}

}  // namespace

absl::StatusOr<ForwardPlan> PlanForward(const AttentionLayer& layer,
                                        const ForwardSpec& spec,
                                        bool has_session) {
  ATTN_RETURN_IF_ERROR(CheckStates("hidden", spec.hidden, layer));
  ATTN_RETURN_IF_ERROR(CheckContext(spec, layer));
  ATTN_RETURN_IF_ERROR(CheckMask(spec));
  ATTN_RETURN_IF_ERROR(CheckBatch(spec, has_session));
  ATTN_RETURN_IF_ERROR(CheckOptions(spec, layer));
  ForwardPlan plan;
  plan.has_context = spec.context.is_present;
  plan.batch_size = spec.hidden.dims[0];
  plan.q_len = spec.hidden.dims[1];
  plan.kv_len = plan.has_context ? spec.context.dims[1] : plan.q_len;
  plan.output_dtype = spec.output.dtype == DataType::kUnspecified
                          ? spec.hidden.dtype
                          : spec.output.dtype;
  ATTN_RETURN_IF_ERROR(PlanBytes(layer, plan));
  PlanAttention(layer, spec, plan);
  return plan;
}

}  // namespace attn
