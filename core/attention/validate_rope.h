// The rules of rotary embedding; part of ValidateRequest (validate.h).
#pragma once

#include "absl/status/status.h"
#include "core/attention/attention_plan.h"
#include "core/attention/request_spec.h"

namespace attn {

// Fills plan.rope and the tables' bytes. REQUIRES: plan.geometry and
// plan.dtype are set.
absl::Status PlanRope(const RequestSpec& spec, AttentionPlan& plan);

}  // namespace attn
