// What `attnctl attend --show-weights` prints: the probabilities of one batch
// entry as a heat map of rows against keys, or one row head by head.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "client/cpp/attnctl/axis_names.h"
#include "client/cpp/attnctl/terminal.h"
#include "client/cpp/tensor.h"

namespace attn::attnctl {

struct WeightsViewOptions {
  AxisTokens tokens = {};
  std::string head = "mean";  // "mean", "all" or a number.
  std::string row = {};       // A token or the number of a row; empty: the map.
  std::string column = {};    // With row: one weight for each head, as bars.
};

// `weights`: [B, num_q_heads, q_len, kv_len] f32; entry 0 of the batch is
// shown. A token that occurs more than once stands for its first place. Errors:
// INVALID_ARGUMENT for a tensor of another form, tokens of another number than
// kv_len, an unknown row, column or head.
absl::StatusOr<std::string> RenderWeights(const client::Tensor& weights,
                                          const WeightsViewOptions& options,
                                          const TerminalStyle& style);

}  // namespace attn::attnctl
