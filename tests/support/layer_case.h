// A request to an attention layer in memory: random tensors of a seed as they
// are sent, and what the reference makes of the same numbers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "core/engine/forward_job.h"
#include "tests/support/layer_reference.h"

namespace attn::test {

struct LayerCaseOptions {
  int64_t batch_size = 1;
  int64_t q_len = 8;
  // Of the context; absent: keys come from hidden.
  std::optional<int64_t> context_len = {};
  DataType dtype = DataType::kF32;
  DataType output_dtype = DataType::kUnspecified;
  // Of a random mask that allows about three keys of four: bool [q_len, kv_len]
  // or F32 [B, num_q_heads, q_len, kv_len]; kUnspecified: none.
  DataType mask_dtype = DataType::kUnspecified;
  bool has_kv_lengths = false;
  std::optional<CausalMode> causal = {};
  std::optional<int64_t> causal_offset = {};
  // Random, ascending and descending.
  bool has_positions = false;
  uint64_t seed = 1;
};

struct LayerCase {
  ForwardSpec spec = {};
  std::vector<std::byte> hidden = {};
  std::vector<std::byte> context = {};
  std::vector<std::byte> mask = {};
  LayerRequest reference = {};
};

LayerCase MakeLayerCase(const ReferenceLayer& layer,
                        const LayerCaseOptions& options);

// Rows [first, first + n) of hidden as a request of their own. REQUIRES: no
// context, mask, lengths or positions; batch_size 1.
LayerCase CutRows(const LayerCase& whole, int64_t first, int64_t n);

}  // namespace attn::test
