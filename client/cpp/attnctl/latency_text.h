// Latency histograms as a table and as entries of flat JSON. Pure functions.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "client/cpp/attnctl/json_text.h"
#include "client/cpp/attnctl/latency_histogram.h"

namespace attn::attnctl {

// What to call it, and the histogram, which must outlive the call.
using NamedLatency = std::pair<std::string, const LatencyHistogram*>;

// Percentiles, maximum and mean in milliseconds, one row each under a header.
// Ends in a newline.
std::string RenderLatencies(const std::vector<NamedLatency>& rows);

// Adds NAME_p50_ms and so on, for JsonObject.
void AddLatency(const NamedLatency& row, JsonEntries& entries);

}  // namespace attn::attnctl
