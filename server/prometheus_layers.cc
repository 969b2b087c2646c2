#include "server/prometheus_layers.h"

#include <string>
#include <utility>

namespace attn {
namespace {

prometheus::MetricFamily Gauge(const std::string& name, const std::string& help,
                               int64_t value) {
  prometheus::ClientMetric metric;
  metric.gauge.value = static_cast<double>(value);
  return {name, help, prometheus::MetricType::Gauge, {std::move(metric)}};
}

}  // namespace

std::vector<prometheus::MetricFamily> LayerFamilies(const LayerTotals& layers,
                                                    int64_t limit_bytes,
                                                    const LayerTokens& tokens) {
  prometheus::MetricFamily counters{
      "attn_layer_tokens_total",
      "Rows of hidden states that went through a layer.",
      prometheus::MetricType::Counter,
      {}};
  for (const std::string& name : layers.names) {
    prometheus::ClientMetric metric;
    metric.label = {{"layer", name}};
    metric.counter.value = static_cast<double>(tokens.Of(name));
    counters.metric.push_back(std::move(metric));
  }
  return {Gauge("attn_layers", "Attention layers that are loaded.",
                static_cast<int64_t>(layers.names.size())),
          Gauge("attn_layer_weight_bytes",
                "Bytes of the packed weights of layers.", layers.bytes),
          Gauge("attn_layer_weight_bytes_limit",
                "The most bytes of packed weights.", limit_bytes),
          std::move(counters)};
}

}  // namespace attn
