// What `attnctl attend --top-k` prints: for each query row of one batch entry
// the keys with the largest weights. Pure functions: thread-safe.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "client/cpp/attnctl/weights_view.h"
#include "client/cpp/request.h"

namespace attn::attnctl {

// `top`: both tensors [B, num_q_heads, q_len, top_k]; entry 0 of the batch is
// shown, one block for each head, or for options.head where that is a number;
// with options.row that row alone, one line for each head. A row that sees no
// key shows "-". options.column is not used. Errors: INVALID_ARGUMENT for
// tensors of another form, an index that has no token, an unknown row or head.
absl::StatusOr<std::string> RenderTop(const client::TopWeights& top,
                                      const WeightsViewOptions& options);

}  // namespace attn::attnctl
