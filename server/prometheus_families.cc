#include "server/prometheus_families.h"

namespace attn {

prometheus::Counter* AddCounter(prometheus::Registry& registry,
                                const FamilyText& text,
                                const prometheus::Labels& labels) {
  return &prometheus::BuildCounter()
              .Name(text.name)
              .Help(text.help)
              .Register(registry)
              .Add(labels);
}

prometheus::Gauge* AddGauge(prometheus::Registry& registry,
                            const FamilyText& text,
                            const prometheus::Labels& labels) {
  return &prometheus::BuildGauge()
              .Name(text.name)
              .Help(text.help)
              .Register(registry)
              .Add(labels);
}

prometheus::Histogram* AddHistogram(prometheus::Registry& registry,
                                    const FamilyText& text,
                                    const std::vector<double>& bounds,
                                    const prometheus::Labels& labels) {
  return &prometheus::BuildHistogram()
              .Name(text.name)
              .Help(text.help)
              .Register(registry)
              .Add(labels, bounds);
}

Distribution ReadDistribution(const prometheus::Histogram& histogram) {
  const prometheus::ClientMetric::Histogram collected =
      histogram.Collect().histogram;
  Distribution distribution;
  distribution.sum = collected.sample_sum;
  for (const auto& bucket : collected.bucket) {
    distribution.counts.push_back(
        static_cast<int64_t>(bucket.cumulative_count));
    distribution.bounds.push_back(bucket.upper_bound);
  }
  distribution.bounds.pop_back();  // Infinity.
  return distribution;
}

const std::vector<double>& TimeBounds() {
  static const std::vector<double> bounds{
      10e-6, 25e-6, 50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3,
      25e-3, 50e-3, 0.1,   0.25,   0.5,    1.0,    2.5,  5.0,    10.0, 30.0};
  return bounds;
}

std::vector<double> ExponentialBounds(double first, double factor, int count) {
  std::vector<double> bounds;
  for (int i = 0; i < count; ++i, first *= factor) bounds.push_back(first);
  return bounds;
}

}  // namespace attn
