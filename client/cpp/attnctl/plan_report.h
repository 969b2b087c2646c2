// What `attnctl plan` prints. Pure functions.
#pragma once

#include <string>

#include "client/cpp/attnctl/capacity_plan.h"

namespace attn::attnctl {

// For people, with the flags and the chart's values to set. Ends in a newline.
std::string RenderPlan(const CapacityRequest& request,
                       const CapacityPlan& plan);

// The same as one flat object; bytes as numbers.
std::string RenderPlanJson(const CapacityRequest& request,
                           const CapacityPlan& plan);

}  // namespace attn::attnctl
