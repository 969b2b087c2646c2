// Drives a Sender: a closed loop keeps a number of calls under way, an open
// loop sends when a schedule intends to and counts latency from then, so that a
// server that stalls does not hide its own latency.
#pragma once

#include <cstdint>

#include "absl/time/time.h"
#include "client/cpp/attnctl/load_record.h"
#include "client/cpp/attnctl/load_schedule.h"
#include "client/cpp/attnctl/problem_source.h"
#include "client/cpp/attnctl/sender.h"

namespace attn::attnctl {

// Time and the wish to end early. Thread-safe.
class LoadClock {
 public:
  virtual ~LoadClock() = default;
  virtual absl::Time Now() = 0;
  // Waits until `time`, or shorter once stopped.
  virtual void SleepUntil(absl::Time time) = 0;
  virtual bool stopped() = 0;
};

struct LoadPlan {
  uint64_t concurrency = 1;       // Closed loop: calls under way.
  uint64_t max_in_flight = 1024;  // Open loop: the same, at most.
  uint64_t items_per_send = 1;
  uint64_t max_requests = 0;  // 0: no limit.
  absl::Duration duration = absl::Seconds(10);
};

// The parts of a load; all must outlive the run.
struct LoadParts {
  const ProblemSource& source;
  Sender& sender;
  LoadRecord& record;
  LoadClock& clock;
};

// Both return when duration or requests are spent or the clock is stopped, and
// every call has been answered. The result is the time from the first send to
// the last answer.
absl::Duration RunClosedLoop(const LoadPlan& plan, const LoadParts& parts);
absl::Duration RunOpenLoop(const LoadPlan& plan, LoadSchedule schedule,
                           const LoadParts& parts);

}  // namespace attn::attnctl
