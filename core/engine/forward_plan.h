// A forward request against every rule that can be judged before anything is
// computed: its sizes, and the attention request that its projections make.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "core/attention/params.h"
#include "core/attention/request_spec.h"
#include "core/layer/attention_layer.h"
#include "core/tensor/dtype.h"
#include "core/tensor/shape.h"

namespace attn {

// What a request says about itself; raw values from outside.
struct ForwardSpec {
  TensorSpec hidden = {};
  TensorSpec context = {};
  TensorSpec attn_mask = {};
  std::vector<int64_t> kv_lengths = {};
  std::optional<CausalMode> causal = {};
  std::optional<int64_t> causal_offset = {};
  std::vector<int64_t> positions = {};
  OutputOptions output = {};
};

// Constant once made.
struct ForwardPlan {
  int64_t batch_size = 0;
  int64_t q_len = 0;
  int64_t kv_len = 0;  // Of context, or q_len.
  bool has_context = false;
  DataType output_dtype = DataType::kF32;
  // Of query, key and value as f32, of the output as f32 and as sent.
  int64_t query_bytes = 0;
  int64_t kv_bytes = 0;
  int64_t output_f32_bytes = 0;
  int64_t output_bytes = 0;
  // On f32 query, key and value [B, length, heads * head_dim]. A mask of
  // another float dtype is widened to f32.
  RequestSpec attention = {};

  // Rows of queries, and of keys and values.
  int64_t num_rows() const { return batch_size * q_len; }
  int64_t num_kv_rows() const { return batch_size * kv_len; }
};

// INVALID_ARGUMENT: field of attn.v1.ForwardRequest, rule and found values. The
// rules of attention itself are ValidateRequest's.
absl::StatusOr<ForwardPlan> PlanForward(const AttentionLayer& layer,
                                        const ForwardSpec& spec,
                                        bool has_session);

}  // namespace attn
