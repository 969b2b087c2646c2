// The gate: what a request says about itself against every rule of the
// contract, before any memory is taken for it. One function a rule, one message
// a rule; proto/README.md lists them.
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "core/attention/attention_plan.h"
#include "core/attention/request_spec.h"
#include "core/attention/validate_session.h"

namespace attn {

// Beyond it, asking for all weights is cheaper.
inline constexpr int64_t kMaxTopK = 1024;

struct RequestLimits {
  // Output, lse and weights together.
  int64_t max_reply_bytes = int64_t{256} << 20;
};

// The plan of a request that keeps every rule.
// INVALID_ARGUMENT: field, rule and found values (INVALID_TENSOR for tensors,
// INVALID_OPTION for the rest). RESOURCE_EXHAUSTED / REQUEST_TOO_LARGE: the
// reply would be beyond limits.max_reply_bytes.
absl::StatusOr<AttentionPlan> ValidateRequest(const RequestSpec& spec,
                                              const RequestLimits& limits);

// The same for a request that attends to a layer of a session, after it
// appended its keys and values, if any. The layer's past_len is what is there
// before. Also FAILED_PRECONDITION / SPEC_MISMATCH.
absl::StatusOr<AttentionPlan> ValidateSessionRequest(
    const RequestSpec& spec, const SessionLayer& layer,
    const RequestLimits& limits);

// What CheckAppend does not see of a request that only appends: its layout is
// known, and there are tensors. INVALID_ARGUMENT.
absl::Status CheckAppendAlone(const RequestSpec& spec);

}  // namespace attn
