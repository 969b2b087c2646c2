#include "server/prometheus_tenants.h"

#include <array>
#include <string>
#include <utility>

namespace attn {
namespace {

using Value = int64_t TenantUsage::*;

prometheus::MetricFamily Gauges(const std::vector<TenantTable::Line>& lines,
                                const std::string& name,
                                const std::string& help, Value value) {
  prometheus::MetricFamily family{
      name, help, prometheus::MetricType::Gauge, {}};
  for (const TenantTable::Line& line : lines) {
    prometheus::ClientMetric metric;
    metric.label = {{"tenant", line.name}};
    metric.gauge.value = static_cast<double>(line.usage.*value);
    family.metric.push_back(std::move(metric));
  }
  return family;
}

prometheus::ClientMetric CounterOf(const TenantTable::Line& line, Value value) {
  prometheus::ClientMetric metric;
  metric.label = {{"tenant", line.name}};
  metric.counter.value = static_cast<double>(line.usage.*value);
  return metric;
}

prometheus::MetricFamily Admitted(const std::vector<TenantTable::Line>& lines) {
  prometheus::MetricFamily family{"attn_tenant_admitted_tasks_total",
                                  "Tasks of a tenant that were admitted.",
                                  prometheus::MetricType::Counter,
                                  {}};
  for (const TenantTable::Line& line : lines) {
    family.metric.push_back(CounterOf(line, &TenantUsage::admitted_tasks));
  }
  return family;
}

prometheus::MetricFamily Refused(const std::vector<TenantTable::Line>& lines) {
  constexpr std::array<std::pair<const char*, Value>, 3> kBounds{
      {{"sessions", &TenantUsage::refused_sessions},
       {"kv_memory", &TenantUsage::refused_kv_pages},
       {"queue", &TenantUsage::refused_tasks}}};
  prometheus::MetricFamily family{
      "attn_tenant_refused_total",
      "What was refused to a tenant for a bound of its own, by the bound.",
      prometheus::MetricType::Counter,
      {}};
  for (const TenantTable::Line& line : lines) {
    for (const auto& [bound, value] : kBounds) {
      prometheus::ClientMetric metric = CounterOf(line, value);
      metric.label.insert(metric.label.begin(), {"bound", bound});
      family.metric.push_back(std::move(metric));
    }
  }
  return family;
}

}  // namespace

std::vector<prometheus::MetricFamily> TenantFamilies(
    const std::vector<TenantTable::Line>& lines) {
  return {Gauges(lines, "attn_tenant_sessions", "Sessions of a tenant.",
                 &TenantUsage::sessions),
          Gauges(lines, "attn_tenant_kv_bytes",
                 "Bytes of KV pages that a tenant has in use.",
                 &TenantUsage::kv_bytes),
          Gauges(lines, "attn_tenant_queue_depth",
                 "Tasks of a tenant that wait.", &TenantUsage::queued_tasks),
          Gauges(lines, "attn_tenant_inflight_bytes",
                 "Bytes that a tenant's waiting and running tasks hold.",
                 &TenantUsage::inflight_bytes),
          Admitted(lines),
          Refused(lines)};
}

}  // namespace attn
