// The attn_tenant_* metrics, made anew at each scrape.
#pragma once

#include <prometheus/metric_family.h>

#include <vector>

#include "core/tenant/tenant_table.h"

namespace attn {

std::vector<prometheus::MetricFamily> TenantFamilies(
    const std::vector<TenantTable::Line>& lines);

}  // namespace attn
