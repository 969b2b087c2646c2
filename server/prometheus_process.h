// The process_* metrics, made anew at each scrape.
#pragma once

#include <prometheus/metric_family.h>

#include <vector>

#include "server/process_facts.h"

namespace attn {

std::vector<prometheus::MetricFamily> ProcessFamilies(
    const ProcessFacts& facts);

}  // namespace attn
