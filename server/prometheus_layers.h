// The metrics of attention layers: they come and go with the layers, so they
// are made anew for each scrape.
#pragma once

#include <prometheus/metric_family.h>

#include <cstdint>
#include <vector>

#include "server/prometheus_metrics.h"

namespace attn {

// Of the layers that are loaded now. `limit_bytes`: --max-layer-bytes.
std::vector<prometheus::MetricFamily> LayerFamilies(const LayerTotals& layers,
                                                    int64_t limit_bytes,
                                                    const LayerTokens& tokens);

}  // namespace attn
