#include "client/cpp/attnctl/latency_text.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace attn::attnctl {
namespace {

constexpr std::pair<const char*, double> kPercentiles[] = {
    {"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p99.9", 0.999}};

std::string RenderRow(const NamedLatency& row) {
  const LatencyHistogram& latency = *row.second;
  std::string text = absl::StrFormat("%-16s", row.first);
  for (const auto& [label, fraction] : kPercentiles) {
    absl::StrAppendFormat(
        &text, " %10.3f",
        absl::ToDoubleMilliseconds(latency.Percentile(fraction)));
  }
  absl::StrAppendFormat(&text, " %10.3f %10.3f\n",
                        absl::ToDoubleMilliseconds(latency.max()),
                        absl::ToDoubleMilliseconds(latency.mean()));
  return text;
}

}  // namespace

std::string RenderLatencies(const std::vector<NamedLatency>& rows) {
  std::string text = absl::StrFormat("%-16s", "milliseconds");
  for (const auto& [label, fraction] : kPercentiles) {
    absl::StrAppendFormat(&text, " %10s", label);
  }
  absl::StrAppendFormat(&text, " %10s %10s\n", "max", "mean");
  for (const NamedLatency& row : rows) {
    absl::StrAppend(&text, RenderRow(row));
  }
  return text;
}

void AddLatency(const NamedLatency& row, JsonEntries& entries) {
  constexpr std::pair<const char*, double> kNames[] = {
      {"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p999", 0.999}};
  const auto& [name, latency] = row;
  for (const auto& [label, fraction] : kNames) {
    entries.emplace_back(
        absl::StrCat(name, "_", label, "_ms"),
        JsonNumber(absl::ToDoubleMilliseconds(latency->Percentile(fraction))));
  }
  entries.emplace_back(name + "_max_ms",
                       JsonNumber(absl::ToDoubleMilliseconds(latency->max())));
  entries.emplace_back(name + "_mean_ms",
                       JsonNumber(absl::ToDoubleMilliseconds(latency->mean())));
}

}  // namespace attn::attnctl
