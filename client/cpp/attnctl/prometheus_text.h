// Prometheus' text format, read back: samples, sums over labels and quantiles
// of histograms. Pure functions; MetricSet is immutable: thread-safe.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace attn::attnctl {

using Labels = std::map<std::string, std::string>;

struct MetricSample {
  std::string name;
  Labels labels;
  double value = 0;
};

// All samples of one scrape.
class MetricSet {
 public:
  // Errors: INVALID_ARGUMENT with the number of the line that is no sample.
  static absl::StatusOr<MetricSet> Parse(std::string_view text);

  const std::vector<MetricSample>& samples() const { return samples_; }

  // Sum over the samples of `name` that carry all of `labels`; 0 for none.
  double Sum(const std::string& name, const Labels& labels = {}) const;

  // The sums for each value of `label`.
  std::map<std::string, double> SumBy(const std::string& name,
                                      const std::string& label) const;

  // Sum / count of a histogram; NaN when it is empty.
  double Mean(const std::string& name, const Labels& labels = {}) const;

  // The value below which `fraction` (0..1) of the observations lie,
  // interpolated within its bucket as histogram_quantile does; the last finite
  // edge where it lies beyond; NaN when the histogram is empty.
  double Quantile(const std::string& name, double fraction,
                  const Labels& labels = {}) const;

  // What happened since `before`: counters and histograms less what they were
  // then (or as they are, where that is more: the server has restarted), gauges
  // as they are.
  MetricSet Since(const MetricSet& before) const;

 private:
  std::vector<MetricSample> samples_;
};

}  // namespace attn::attnctl
