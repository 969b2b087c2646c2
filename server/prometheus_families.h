// The shapes that all metrics share: how a series is made, and the bucket
// bounds of histograms. Only server/prometheus_*.cc includes this.
#pragma once

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/labels.h>
#include <prometheus/registry.h>

#include <string>
#include <vector>

#include "server/distribution.h"

namespace attn {

// Name and help of a family; series of one family pass the same.
struct FamilyText {
  std::string name;
  std::string help;
};

// Each makes a series that starts at 0. It lives as long as the registry. Call
// at start only: a look-up costs 50 times an increment.
prometheus::Counter* AddCounter(prometheus::Registry& registry,
                                const FamilyText& text,
                                const prometheus::Labels& labels = {});
prometheus::Gauge* AddGauge(prometheus::Registry& registry,
                            const FamilyText& text,
                            const prometheus::Labels& labels = {});
prometheus::Histogram* AddHistogram(prometheus::Registry& registry,
                                    const FamilyText& text,
                                    const std::vector<double>& bounds,
                                    const prometheus::Labels& labels = {});

// What `histogram` holds now.
Distribution ReadDistribution(const prometheus::Histogram& histogram);

// 10 us to 30 s, two or three bounds a decade.
const std::vector<double>& TimeBounds();
// `first`, times `factor` each, `count` of them.
std::vector<double> ExponentialBounds(double first, double factor, int count);

}  // namespace attn
