// One problem: the query rows of one sequence that share a KV head (its head
// group), against that head's keys and values. Kernels see problems and nothing
// else; the engine makes them from a plan and the request's buffers
// (MakeProblem).
//
// Rows are folded: folded row r is query row r / group_size of query head
// r % group_size within the group, so that neighbouring folded rows see nearly
// the same keys and one load of a key serves the whole group.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/attention/attention_plan.h"
#include "core/attention/key_range.h"
#include "core/attention/rotation.h"
#include "core/tensor/kv_format.h"
#include "core/tensor/tensor_view.h"

namespace attn {

// The mask of one sequence; head 0 is the first head of the group.
struct MaskView {
  const std::byte* data = nullptr;  // Null: no mask.
  DataType dtype = DataType::kBool;
  MaskStrides strides;  // `batch` is already applied to data.

  // Element (head, row, 0).
  const std::byte* Row(int64_t head, int64_t row) const {
    return data +
           (head * strides.head + row * strides.row) * ElementBytes(dtype);
  }
};

// Where [heads, q_len, width] f32 results of the group go; null: not wanted.
struct F32RowsView {
  float* data = nullptr;
  int64_t head_stride = 0;
  int64_t row_stride = 0;

  float* Row(int64_t head, int64_t row) const {
    return data + head * head_stride + row * row_stride;
  }
};

// Where the top keys of the group go, [heads, q_len, top_k]; null: not wanted.
struct TopKeysView {
  int32_t* indices = nullptr;
  float* probabilities = nullptr;
  int64_t top_k = 0;
  int64_t head_stride = 0;

  int64_t Place(int64_t head, int64_t row) const {
    return head * head_stride + row * top_k;
  }
};

// Borrows everything; constant while kernels run on it.
struct Problem {
  int64_t group_size = 0;
  int64_t q_len = 0;
  int64_t kv_len = 0;
  RowsView query;          // [group_size, q_len, head_dim]
  RowsView key;            // [1, kv_len, head_dim]
  RowsView value;          // [1, kv_len, value_head_dim]
  PagedHead paged;         // If on, key and value lie here; the views say dims.
  MutableRowsView output;  // [group_size, q_len, value_head_dim]
  F32RowsView lse;         // [group_size, q_len, 1]
  F32RowsView weights;     // [group_size, q_len, kv_len]
  WeightsMode weights_mode = WeightsMode::kNone;
  TopKeysView top;

  RotationView query_rotation;  // By query row.
  RotationView key_rotation;    // By key.

  KeyStructure structure;
  MaskView mask;
  double scale = 0;
  float softcap = 0;                    // 0: off.
  const float* alibi_slopes = nullptr;  // [group_size] or null.
  const float* sinks = nullptr;         // [group_size] or null.

  int64_t num_rows() const { return group_size * q_len; }
  int64_t HeadOf(int64_t folded_row) const { return folded_row % group_size; }
  int64_t RowOf(int64_t folded_row) const { return folded_row / group_size; }
};

// Consecutive folded rows: one work item's share of a problem.
struct RowRange {
  int64_t first = 0;
  int64_t last = 0;

  int64_t size() const { return last - first; }
};

// Where a request's tensors lie.
struct RequestBuffers {
  const std::byte* query = nullptr;
  const std::byte* key = nullptr;
  const std::byte* value = nullptr;
  const std::byte* mask = nullptr;
  RotationBuffers rotation;
  PagedKv paged;  // With a session, instead of key and value.
  std::byte* output = nullptr;
  std::byte* lse = nullptr;
  std::byte* weights = nullptr;
  std::byte* top_indices = nullptr;
  std::byte* top_probabilities = nullptr;
};

// The problem of sequence `b` and KV head `kv_head`. Borrows from both.
Problem MakeProblem(const AttentionPlan& plan, const RequestBuffers& buffers,
                    int64_t b, int64_t kv_head);

}  // namespace attn
