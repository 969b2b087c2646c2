// The rules about tensors: presence, dtype, shape, byte count, and how the
// shapes of query, key, value and mask fit each other. Called by validate.cc
// alone, in this order; each returns INVALID_ARGUMENT / INVALID_TENSOR.
#pragma once

#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/attention/attention_plan.h"
#include "core/attention/request_spec.h"

namespace attn {

// One of query, key and value in the words of the layout.
struct HeadsShape {
  int64_t batch_size = 0;
  int64_t num_heads = 0;
  int64_t length = 0;
  int64_t dim = 0;
};

// Present, a known dtype, at most 8 axes, no negative or overflowing length,
// and as many bytes as dtype and shape say.
absl::Status CheckTensor(std::string_view field, const TensorSpec& tensor);

// INVALID_TENSOR unless F32, F16, BF16 or F64.
absl::Status CheckFloat(std::string_view field, DataType dtype);

// Query F32, F16, BF16 or F64; key and value the query's.
absl::Status CheckDtypes(const RequestSpec& spec);

// Sizes of `tensor` in `layout`. heads_option is the name of `given_heads`,
// which must be given with LAYOUT_BSE and agree otherwise.
absl::StatusOr<HeadsShape> ReadShape(std::string_view field,
                                     std::string_view heads_option,
                                     const TensorSpec& tensor, Layout layout,
                                     int64_t given_heads);

// value has the batch, length and heads of key. INVALID_TENSOR.
absl::Status CheckValueFits(const HeadsShape& key, const HeadsShape& value,
                            Layout layout);

// The sizes that the three shapes agree on in the request's layout.
// Also INVALID_OPTION for num_q_heads and num_kv_heads.
absl::StatusOr<Geometry> CheckShapes(const RequestSpec& spec);

// The mask broadcasts to [B, num_q_heads, q_len, kv_len]; fills in the mask
// fields of the plan, whose geometry is known.
absl::Status CheckMask(const TensorSpec& mask, AttentionPlan& plan);

}  // namespace attn
