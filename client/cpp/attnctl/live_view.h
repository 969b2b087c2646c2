// One frame of `attnctl top`. Pure functions: thread-safe.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "client/cpp/attnctl/prometheus_text.h"
#include "client/cpp/session.h"

namespace attn::attnctl {

// What a frame shows.
struct LiveFrame {
  // Counters of `interval` alone (MetricSet::Since), gauges as they are.
  const MetricSet& metrics;
  absl::Duration interval;
  bool is_first = false;  // The interval is the server's whole life.
  const std::vector<client::Session>& sessions;
  size_t max_sessions = 5;  // The largest by KV bytes are shown.
};

// The sessions to show, the largest first.
std::vector<client::Session> Largest(const LiveFrame& frame);

// Rates, queue, KV memory, latency percentiles and sessions. Ends in a newline.
std::string RenderLive(const LiveFrame& frame);

}  // namespace attn::attnctl
