// The flags of `attnctl bench`.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "client/cpp/attnctl/flag_types.h"
#include "client/cpp/attnctl/load_schedule.h"
#include "client/cpp/attnctl/problem_source.h"

namespace attn::attnctl {

enum class Method { kAttend, kBatch, kStream };

// Plain values: thread-compatible.
struct BenchFlags {
  ProblemShape shape;
  uint64_t seed = 1;
  Method method = Method::kAttend;
  uint64_t batch_items = 8;  // Requests in one AttendBatch.
  uint64_t concurrency = 1;  // Closed loop: calls under way.
  double rate = 0;           // Open loop: calls per second; 0: closed loop.
  Arrivals arrivals = Arrivals::kPoisson;
  uint64_t max_in_flight = 1024;  // Open loop: calls under way at most.
  // 0: 10 s, or as long as it takes where --requests is given.
  absl::Duration duration = absl::ZeroDuration();
  uint64_t requests = 0;  // Stop after so many; 0: no limit.
  uint64_t verify = 0;    // Send so many again and compare the bytes.
  std::string json_path;
};

// `duration` with its default resolved.
absl::Duration LoadDuration(const BenchFlags& flags);

void AddBenchFlags(CLI::App& app, BenchFlags& flags);

// Errors: INVALID_ARGUMENT for flags that do not fit together.
absl::Status CheckBenchFlags(const BenchFlags& flags);

}  // namespace attn::attnctl
