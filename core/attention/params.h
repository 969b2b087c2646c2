// The options of attention, as typed values. Names and meanings are those of
// the wire (proto/attn/v1/types.proto); proto/README.md states the semantics.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "core/attention/rope_frequencies.h"
#include "core/tensor/dtype.h"

namespace attn {

// The numbers equal those of the wire enums.
enum class Layout : int32_t {
  kUnspecified = 0,
  kBHSD = 1,
  kBSHD = 2,
  kBSE = 3
};

enum class CausalMode : int32_t { kNone = 0, kTopLeft = 1, kBottomRight = 2 };

enum class WeightsMode : int32_t {
  kNone = 0,
  kRawScores = 1,
  kSoftcapped = 2,
  kBiased = 3,
  kProbabilities = 4,
};

// Rotary embedding of query and key. Explicit tables travel beside
// (RequestSpec::rope_cos and rope_sin).
struct RopeParams {
  // 0: no rotation unless tables are given.
  float base = 0;
  // Leading channels that rotate; 0: head_dim.
  int64_t rotary_dim = 0;
  // Pairs (0, 1), (2, 3), ... instead of (c, c + rotary_dim / 2).
  bool is_interleaved = false;
  // In place of base and scaling_factor; null: those. Pairs as without.
  std::shared_ptr<const RopeFrequencies> frequencies = {};
  // Divides the position; 0: 1.
  float scaling_factor = 0;
  // [q_len] and [kv_len]; empty: counted from 0.
  std::vector<int64_t> positions = {};
  std::vector<int64_t> key_positions = {};
  // Without key_positions keys are counted even where there are positions.
  bool counts_keys = false;
};

struct AttentionParams {
  // Multiplies q . k. Default: 1 / sqrt(head_dim).
  std::optional<float> scale;
  CausalMode causal = CausalMode::kNone;
  // Position of query row 0; overrides the mode's offset.
  std::optional<int64_t> causal_offset;
  // Inclusive numbers of keys; absent is off.
  std::optional<int64_t> left_window;
  std::optional<int64_t> right_window;
  // softcap * tanh(score / softcap); 0 is off.
  float softcap = 0;
  // [num_q_heads] or empty.
  std::vector<float> alibi_slopes;
  // [num_q_heads] or empty.
  std::vector<float> sinks;
  std::optional<RopeParams> rope;
};

struct OutputOptions {
  // kUnspecified: the query's dtype.
  DataType dtype = DataType::kUnspecified;
  bool return_lse = false;
  WeightsMode weights = WeightsMode::kNone;
  // The largest probabilities of every row; 0 is off.
  int64_t top_k = 0;
};

}  // namespace attn
