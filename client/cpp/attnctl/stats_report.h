// The key figures of a server's /metrics, for humans and as flat JSON. Pure
// functions.
#pragma once

#include <string>

#include "client/cpp/attnctl/prometheus_text.h"

namespace attn::attnctl {

// Both end in a newline. A figure that the server does not export counts as 0.
std::string RenderStats(const MetricSet& metrics);
std::string RenderStatsJson(const MetricSet& metrics);

}  // namespace attn::attnctl
