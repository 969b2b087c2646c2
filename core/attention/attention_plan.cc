#include "core/attention/attention_plan.h"

#include <algorithm>

namespace attn {

int64_t AttentionPlan::Offset(int64_t b) const {
  if (params.causal_offset.has_value()) return *params.causal_offset;
  switch (params.causal) {
    case CausalMode::kTopLeft:
      return past_len;
    case CausalMode::kBottomRight:
      return KvLength(b) - geometry.q_len;
    case CausalMode::kNone:
      break;
  }
  return kv_lengths.empty() ? past_len : KvLength(b) - geometry.q_len;
}

KeyStructure AttentionPlan::Structure(int64_t b) const {
  return {.offset = Offset(b),
          .is_causal = params.causal != CausalMode::kNone,
          .left_window = params.left_window,
          .right_window = params.right_window,
          .kv_first = 0,
          .kv_limit = std::min(KvLength(b), mask_kv_len)};
}

}  // namespace attn
