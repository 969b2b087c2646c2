// The figures of a bench as a table for humans and as flat JSON. Pure
// functions.
#pragma once

#include <cstdint>
#include <string>

#include "absl/time/time.h"
#include "client/cpp/attnctl/load_record.h"

namespace attn::attnctl {

struct BenchReport {
  LoadFigures figures;
  absl::Duration elapsed;
  bool stopped_early = false;
  // Requests sent again, and how many of them gave other bytes.
  uint64_t verified = 0;
  uint64_t mismatched = 0;
};

// Ends in a newline.
std::string RenderTable(const BenchReport& report);

// {"requests_completed": ..., "latency_p50_ms": ..., ...}
std::string RenderJson(const BenchReport& report);

}  // namespace attn::attnctl
