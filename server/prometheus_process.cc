#include "server/prometheus_process.h"

#include <string>

namespace attn {
namespace {

prometheus::MetricFamily MakeGauge(const std::string& name,
                                   const std::string& help, double value) {
  prometheus::ClientMetric metric;
  metric.gauge.value = value;
  return {name, help, prometheus::MetricType::Gauge, {metric}};
}

prometheus::MetricFamily MakeCounter(const std::string& name,
                                     const std::string& help, double value) {
  prometheus::ClientMetric metric;
  metric.counter.value = value;
  return {name, help, prometheus::MetricType::Counter, {metric}};
}

}  // namespace

std::vector<prometheus::MetricFamily> ProcessFamilies(
    const ProcessFacts& facts) {
  const auto real = [](int64_t number) { return static_cast<double>(number); };
  return {
      MakeCounter("process_cpu_seconds_total",
                  "User and system CPU time of the process.",
                  facts.cpu_seconds),
      MakeGauge("process_start_time_seconds",
                "Unix time at which the process started.",
                facts.start_time_seconds),
      MakeGauge("process_resident_memory_bytes", "Resident memory.",
                real(facts.resident_bytes)),
      MakeGauge("process_virtual_memory_bytes", "Virtual memory.",
                real(facts.virtual_bytes)),
      MakeGauge("process_open_fds", "Open file descriptors.",
                real(facts.num_open_fds)),
      MakeGauge("process_max_fds", "The most file descriptors allowed.",
                real(facts.max_fds)),
      MakeGauge("process_threads", "Threads of the process.",
                real(facts.num_threads)),
  };
}

}  // namespace attn
