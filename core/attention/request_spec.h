// What a request says about itself before a single tensor byte is read: the
// small fields, and of each tensor its dtype, shape and byte count as declared.
// Raw values from outside; validate.h turns it into an AttentionPlan.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/attention/params.h"
#include "core/tensor/dtype.h"
#include "core/tensor/shape.h"

namespace attn {

struct TensorSpec {
  bool is_present = false;
  DataType dtype = DataType::kUnspecified;  // Any number the wire may carry.
  Dims dims;
  int64_t data_bytes = 0;
};

struct RequestSpec {
  TensorSpec query;
  TensorSpec key;
  TensorSpec value;
  TensorSpec attn_mask;
  // Tables of params.rope.
  TensorSpec rope_cos;
  TensorSpec rope_sin;
  Layout layout = Layout::kUnspecified;
  // 0: not given.
  int64_t num_q_heads = 0;
  int64_t num_kv_heads = 0;
  // [B] or empty.
  std::vector<int64_t> kv_lengths;
  AttentionParams params;
  // Its name in the message; empty: its fields are the message's.
  std::string rope_field = "params.rope";
  OutputOptions output;
  // Bytes that stand in the reply in the place of the output's, where that is
  // not the answer itself. The output then has no more bytes than the query.
  std::optional<int64_t> reply_output_bytes;
};

}  // namespace attn
