// Estimates of work before it is done, for admission and for cutting a task
// into work items. A function of the plan alone.
#pragma once

#include "core/attention/attention_plan.h"

namespace attn {

// FLOPs of the pairs that are not masked away by structure, plus what packing
// costs. Structure is sampled, so the time is bounded for any request.
double EstimateCost(const AttentionPlan& plan);

}  // namespace attn
