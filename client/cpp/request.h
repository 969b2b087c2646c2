// Requests and replies of attn.v1.AttentionService as plain structs; every
// field of the contract is here under its own name. proto/attn/v1/*.proto state
// shapes, defaults and errors in full; the comments here are the short form.
// Plain values: thread-compatible; tensors are handles (tensor.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "client/cpp/tensor.h"

namespace attn::client {

// The numbers of these enums are those of attn.v1.

// Order of the axes of query, key, value and output.
enum class Layout : int {
  kUnspecified = 0,  // As kBhsd.
  kBhsd = 1,         // [B, heads, length, dim]
  kBshd = 2,         // [B, length, heads, dim]
  kBse = 3,          // [B, length, heads * dim]; needs num_*_heads
};

enum class Causal : int { kNone = 0, kTopLeft = 1, kBottomRight = 2 };

// Which intermediate comes back as AttendResponse::weights.
enum class Weights : int {
  kNone = 0,
  kRawScores = 1,
  kSoftcapped = 2,
  kBiased = 3,
  kProbabilities = 4,
};

enum class Priority : int {
  kUnspecified = 0,
  kLow = 1,
  kNormal = 2,
  kHigh = 3
};

// Rotary embedding of the query and of newly sent keys.
struct RopeParams {
  float base = 0;            // 0: no rotation unless cos and sin are given.
  uint32_t rotary_dim = 0;   // Leading channels that rotate; 0: head_dim.
  bool interleaved = false;  // Pairs (0,1), (2,3), ... instead of halves.
  float scaling_factor = 0;  // Divides the position; 0: 1.
  Tensor cos = {};           // [max_position, rotary_dim / 2]
  Tensor sin = {};           // [max_position, rotary_dim / 2]
  std::vector<int64_t> positions = {};      // [q_len]; empty: counted.
  std::vector<int64_t> key_positions = {};  // One for each key sent.
};

// How scores are made and which keys are allowed.
struct AttentionParams {
  std::optional<float> scale = {};  // Default 1 / sqrt(head_dim).
  Causal causal = Causal::kNone;
  std::optional<int64_t> causal_offset = {};  // Overrides the mode's offset.
  std::optional<int64_t> left_window = {};  // Inclusive, in keys; absent: off.
  std::optional<int64_t> right_window = {};
  float softcap = 0;                     // 0: off.
  std::vector<float> alibi_slopes = {};  // [num_q_heads] or empty.
  std::vector<float> sinks = {};         // [num_q_heads] or empty.
  std::optional<RopeParams> rope = {};
};

struct OutputOptions {
  DType dtype = DType::kUnspecified;  // Default: the query's.
  bool return_lse = false;
  Weights weights = Weights::kNone;
  uint32_t top_k = 0;  // 0: off.
  // Where the output goes instead of into AttendResponse::output, which is
  // absent then: a place in a SharedRegion, of its size.
  Tensor into = {};
};

// Which layer of which session a call works on.
struct SessionRef {
  std::string session_id = {};
  uint32_t layer = 0;
  // Tokens in the layer before this call's append. With it a repeated append
  // is harmless; without it the client never retries an append.
  std::optional<uint64_t> expected_length = {};
};

struct AttendRequest {
  std::string request_id = {};  // Echoed.
  Tensor query = {};            // [B, num_q_heads, q_len, head_dim] in kBhsd
  Tensor key = {};              // [B, num_kv_heads, kv_len, head_dim]
  Tensor value = {};            // [B, num_kv_heads, kv_len, value_head_dim]
  Layout layout = Layout::kUnspecified;
  uint32_t num_q_heads = 0;   // Required for kBse.
  uint32_t num_kv_heads = 0;  // Required for kBse.
  Tensor attn_mask = {};      // Broadcasts to [B, num_q_heads, q_len, kv_len].
  std::vector<int64_t> kv_lengths = {};  // [B] or empty.
  AttentionParams params = {};
  OutputOptions output = {};
  std::optional<SessionRef> session = {};
  Priority priority = Priority::kUnspecified;
};

// The largest probabilities of every row, largest first.
struct TopWeights {
  Tensor indices = {};  // [B, num_q_heads, q_len, top_k] i32, padded with -1
  Tensor probabilities =
      {};  // [B, num_q_heads, q_len, top_k] f32, padded with 0
};

// Durations as the server measured them.
struct Timing {
  absl::Duration queue = {};
  absl::Duration compute = {};
  absl::Duration total = {};
  uint32_t batch_size = 0;  // Tasks in the same batch, this one included.
};

struct AttendResponse {
  std::string request_id = {};
  Tensor output = {};  // In the request's layout; absent with output.into.
  Tensor lse = {};     // [B, num_q_heads, q_len] f32, only if asked for.
  Tensor weights =
      {};  // [B, num_q_heads, q_len, kv_len] f32, only if asked for.
  TopWeights top = {};  // Only if asked for.
  uint64_t session_length = 0;
  Timing timing = {};
};

// Outcome of one item of a batch or a stream. A failed item has a response
// that carries the request_id alone.
struct AttendResult {
  absl::Status status = {};
  AttendResponse response = {};
};

}  // namespace attn::client
