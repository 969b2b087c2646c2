// A validated request: every size known and proven to fit, every option
// resolved. Made by ValidateRequest (validate.h); the engine allocates by it
// and cuts it into problems (problem.h) and work items.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "core/attention/key_range.h"
#include "core/attention/params.h"
#include "core/tensor/dtype.h"

namespace attn {

// The sizes of a problem.
struct Geometry {
  int64_t batch_size = 0;
  int64_t num_q_heads = 0;
  int64_t num_kv_heads = 0;
  int64_t q_len = 0;
  int64_t kv_len = 0;
  int64_t head_dim = 0;
  int64_t value_head_dim = 0;

  // Query heads of one KV head.
  int64_t group_size() const { return num_q_heads / num_kv_heads; }
};

// Elements from one index to the next along each axis of
// [B, num_q_heads, q_len, kv_len]; 0 where the mask is broadcast.
struct MaskStrides {
  int64_t batch = 0;
  int64_t head = 0;
  int64_t row = 0;
  int64_t key = 0;
};

// Rotary embedding, resolved. Row r of the query turns by the angles of
// QueryPosition(r), row j of the key sent by those of KeyPosition(j).
struct RopePlan {
  int64_t rotary_dim = 0;  // Even; 0: no rotation.
  bool is_interleaved = false;
  // Angle of pair i at position p: p / scaling_factor * base^(-2i /
  // rotary_dim).
  double base = 0;
  double scaling_factor = 1;
  // Or position * per_position[i], cosines and sines times its magnitude; null:
  // the above.
  std::shared_ptr<const RopeFrequencies> frequencies = {};
  // Or rows of tables [num_positions, rotary_dim / 2].
  bool has_tables = false;
  DataType table_dtype = DataType::kF32;
  // [q_len] and [kv_len]; empty: counted from 0.
  std::vector<int64_t> positions = {};
  std::vector<int64_t> key_positions = {};

  // Where counting starts, for the query; keys of a session turn as they are
  // appended.
  int64_t first_query_position = 0;
  int64_t first_key_position = 0;
  bool turns_keys = true;

  bool is_on() const { return rotary_dim > 0; }
  int64_t num_pairs() const { return rotary_dim / 2; }
  int64_t QueryPosition(int64_t row) const {
    return positions.empty() ? first_query_position + row
                             : positions[static_cast<size_t>(row)];
  }
  int64_t KeyPosition(int64_t key) const {
    return key_positions.empty() ? first_key_position + key
                                 : key_positions[static_cast<size_t>(key)];
  }
};

// Thread-compatible: constant once made.
struct AttentionPlan {
  Geometry geometry;
  Layout layout = Layout::kBHSD;
  DataType dtype = DataType::kF32;         // Of query, key and value.
  DataType output_dtype = DataType::kF32;  // Never kUnspecified.
  double scale = 0;
  AttentionParams params;
  RopePlan rope;
  OutputOptions output;
  std::vector<int64_t> kv_lengths;  // [B] or empty: all of kv_len.

  // With a session: keys and values lie in its pages, kv_len counts its tokens
  // with those of this call, of which it had past_len before.
  bool has_session = false;
  int64_t past_len = 0;

  bool has_mask = false;
  DataType mask_dtype = DataType::kBool;
  MaskStrides mask_strides;
  // Keys that the mask covers; the rest are not allowed. kv_len when the mask
  // is broadcast along keys or absent.
  int64_t mask_kv_len = 0;

  // Exact sizes of what comes in and goes out.
  int64_t query_bytes = 0;
  int64_t key_bytes = 0;
  int64_t value_bytes = 0;
  int64_t mask_bytes = 0;
  int64_t cos_bytes = 0;
  int64_t sin_bytes = 0;
  int64_t output_bytes = 0;
  int64_t lse_bytes = 0;      // 0 unless asked for.
  int64_t weights_bytes = 0;  // 0 unless asked for.
  int64_t top_bytes = 0;      // Of indices, and as many of probabilities.

  // Keys of sequence `b` that may be seen.
  int64_t KvLength(int64_t b) const {
    return kv_lengths.empty() ? geometry.kv_len
                              : kv_lengths[static_cast<size_t>(b)];
  }

  // Position of query row 0 of sequence `b`.
  int64_t Offset(int64_t b) const;
  // Which keys of sequence `b` its rows may see.
  KeyStructure Structure(int64_t b) const;

  int64_t input_bytes() const {
    return query_bytes + key_bytes + value_bytes + mask_bytes + cos_bytes +
           sin_bytes;
  }
  int64_t reply_bytes() const {
    return output_bytes + lse_bytes + weights_bytes + 2 * top_bytes;
  }

  // What arithmetic is done in: F64 for F64 tensors, else F32.
  DataType compute_dtype() const {
    return dtype == DataType::kF64 ? DataType::kF64 : DataType::kF32;
  }
};

}  // namespace attn
