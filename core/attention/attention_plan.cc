#include "core/attention/attention_plan.h"

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

}  // namespace attn
