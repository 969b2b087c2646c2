#include "client/cpp/attnctl/prometheus_text.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace attn::attnctl {
namespace {

// Reads `name{label="value",...} number [timestamp]`. Confined to Parse.
class SampleReader {
 public:
  explicit SampleReader(std::string_view line) : line_(line) {}

  bool Read(MetricSample& sample) {
    sample.name = ReadName();
    if (sample.name.empty()) {
      return false;
    }
    if (Peek() == '{' && !ReadLabels(sample.labels)) {
      return false;
    }
    const std::string rest(line_.substr(at_));
    const std::vector<std::string> words =
        absl::StrSplit(rest, ' ', absl::SkipWhitespace());
    return !words.empty() && words.size() <= 2 &&
           absl::SimpleAtod(words[0], &sample.value);
  }

 private:
  char Peek() const { return at_ < line_.size() ? line_[at_] : '\0'; }

  std::string ReadName() {
    const size_t begin = at_;
    while (absl::ascii_isalnum(Peek()) || Peek() == '_' || Peek() == ':') {
      ++at_;
    }
    return std::string(line_.substr(begin, at_ - begin));
  }

  bool ReadLabels(Labels& labels) {
    ++at_;  // '{'
    while (Peek() != '}') {
      const std::string name = ReadName();
      if (name.empty() || Peek() != '=') {
        return false;
      }
      ++at_;
      if (!ReadQuoted(labels[name])) {
        return false;
      }
      if (Peek() == ',') {
        ++at_;
      } else if (Peek() != '}') {
        return false;
      }
    }
    ++at_;
    return true;
  }

  bool ReadQuoted(std::string& value) {
    if (Peek() != '"') {
      return false;
    }
    for (++at_; at_ < line_.size(); ++at_) {
      if (line_[at_] == '"') {
        ++at_;
        return true;
      }
      if (line_[at_] == '\\' && ++at_ == line_.size()) {
        return false;
      }
      const bool newline = line_[at_ - 1] == '\\' && line_[at_] == 'n';
      value.push_back(newline ? '\n' : line_[at_]);
    }
    return false;
  }

  const std::string_view line_;
  size_t at_ = 0;
};

bool Carries(const MetricSample& sample, const Labels& labels) {
  return std::all_of(labels.begin(), labels.end(), [&](const auto& label) {
    const auto found = sample.labels.find(label.first);
    return found != sample.labels.end() && found->second == label.second;
  });
}

// By its name, as Prometheus has them.
bool IsCounted(const std::string& name) {
  return name.ends_with("_total") || name.ends_with("_bucket") ||
         name.ends_with("_count") || name.ends_with("_sum");
}

}  // namespace

absl::StatusOr<MetricSet> MetricSet::Parse(std::string_view text) {
  MetricSet set;
  int number = 0;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text = end == std::string_view::npos ? "" : text.substr(end + 1);
    ++number;
    if (!line.empty() && line.back() == '\r') {
      line.remove_suffix(1);
    }
    if (line.empty() || line.front() == '#') {
      continue;
    }
    MetricSample sample;
    if (!SampleReader(line).Read(sample)) {
      return absl::InvalidArgumentError(
          absl::StrCat("line ", number, " is no sample: ", std::string(line)));
    }
    set.samples_.push_back(std::move(sample));
  }
  return set;
}

double MetricSet::Sum(const std::string& name, const Labels& labels) const {
  double sum = 0;
  for (const MetricSample& sample : samples_) {
    if (sample.name == name && Carries(sample, labels)) {
      sum += sample.value;
    }
  }
  return sum;
}

std::map<std::string, double> MetricSet::SumBy(const std::string& name,
                                               const std::string& label) const {
  std::map<std::string, double> sums;
  for (const MetricSample& sample : samples_) {
    const auto found = sample.labels.find(label);
    if (sample.name == name && found != sample.labels.end()) {
      sums[found->second] += sample.value;
    }
  }
  return sums;
}

double MetricSet::Mean(const std::string& name, const Labels& labels) const {
  const double count = Sum(name + "_count", labels);
  return count > 0 ? Sum(name + "_sum", labels) / count
                   : std::numeric_limits<double>::quiet_NaN();
}

double MetricSet::Quantile(const std::string& name, double fraction,
                           const Labels& labels) const {
  std::map<double, double> counts;  // Upper edge -> observations up to it.
  for (const MetricSample& sample : samples_) {
    double edge = 0;
    if (sample.name == name + "_bucket" && Carries(sample, labels) &&
        sample.labels.contains("le") &&
        absl::SimpleAtod(sample.labels.at("le"), &edge)) {
      counts[edge] += sample.value;
    }
  }
  if (counts.empty() || counts.rbegin()->second <= 0) {
    return std::numeric_limits<double>::quiet_NaN();
  }
  const double rank = fraction * counts.rbegin()->second;
  double lower_edge = 0;
  double below = 0;
  for (const auto& [edge, count] : counts) {
    if (count >= rank) {
      const double inside = count - below;
      return std::isinf(edge) || inside <= 0
                 ? lower_edge
                 : lower_edge + (edge - lower_edge) * (rank - below) / inside;
    }
    lower_edge = edge;
    below = count;
  }
  return lower_edge;
}

MetricSet MetricSet::Since(const MetricSet& before) const {
  std::map<std::pair<std::string, Labels>, double> values;
  for (const MetricSample& sample : before.samples_) {
    if (IsCounted(sample.name)) {
      values[{sample.name, sample.labels}] = sample.value;
    }
  }
  MetricSet since = *this;
  for (MetricSample& sample : since.samples_) {
    const auto found = values.find({sample.name, sample.labels});
    if (found != values.end() && found->second <= sample.value) {
      sample.value -= found->second;
    }
  }
  return since;
}

}  // namespace attn::attnctl
