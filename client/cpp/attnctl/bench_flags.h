// The flags of `attnctl bench`.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "client/cpp/attnctl/flag_types.h"
#include "client/cpp/attnctl/load_schedule.h"
#include "client/cpp/attnctl/problem_source.h"
#include "client/cpp/session.h"

namespace attn::attnctl {

enum class Method { kAttend, kBatch, kStream };

// `bench --sessions`: decoding with sessions instead of single problems.
struct DecodeFlags {
  uint64_t sessions = 0;  // 0: single problems.
  uint32_t layers = 1;
  client::KvDtype kv_dtype = client::KvDtype::kUnspecified;
  int64_t prefix = 1024;  // Tokens that each session has before it decodes.
  uint64_t steps = 64;    // Tokens that each session decodes.
  bool batch = false;     // All sessions of a step in one AttendBatch.
};

// Plain values: thread-compatible.
struct BenchFlags {
  ProblemShape shape;
  DecodeFlags decode;
  uint64_t seed = 1;
  Method method = Method::kAttend;
  uint64_t batch_items = 8;  // Requests in one AttendBatch.
  // As given; LevelsOf makes one bench of each.
  std::vector<uint64_t> concurrencies = {1};
  std::vector<double> rates;
  uint64_t concurrency = 1;  // Closed loop: calls under way.
  double rate = 0;           // Open loop: calls per second; 0: closed loop.
  Arrivals arrivals = Arrivals::kPoisson;
  uint64_t max_in_flight = 1024;  // Open loop: calls under way at most.
  // 0: 10 s, or as long as it takes where --requests is given.
  absl::Duration duration = absl::ZeroDuration();
  uint64_t requests = 0;  // Stop after so many; 0: no limit.
  uint64_t verify = 0;    // Send so many again and compare the bytes.
  bool json = false;      // Print JSON in place of the table.
  std::string json_path, plot_path;
};

// `duration` with its default resolved.
absl::Duration LoadDuration(const BenchFlags& flags);

// One bench for each rate, or else for each concurrency.
std::vector<BenchFlags> LevelsOf(const BenchFlags& flags);

void AddBenchFlags(CLI::App& app, BenchFlags& flags);

// Errors: INVALID_ARGUMENT for flags that do not fit together.
absl::Status CheckBenchFlags(const BenchFlags& flags);

}  // namespace attn::attnctl
