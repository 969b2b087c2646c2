// When an open loop intends to send: a constant rate or a Poisson process,
// fixed by the seed and never by how fast answers come.
#pragma once

#include <cstdint>
#include <random>

#include "absl/time/time.h"

namespace attn::attnctl {

enum class Arrivals { kConstant, kPoisson };

// Thread-compatible.
class LoadSchedule {
 public:
  // REQUIRES: rate_per_second > 0.
  LoadSchedule(Arrivals arrivals, double rate_per_second, uint64_t seed);

  // Offset of the next send from the start of the load. The first constant one
  // is 0; they never decrease.
  absl::Duration Next();

 private:
  const Arrivals arrivals_;
  const double rate_per_second_;
  std::mt19937_64 random_;
  uint64_t sent_ = 0;
  double poisson_seconds_ = 0;
};

}  // namespace attn::attnctl
