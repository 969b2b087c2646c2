#include "client/cpp/attnctl/load_schedule.h"

#include <cmath>

namespace attn::attnctl {

LoadSchedule::LoadSchedule(Arrivals arrivals, double rate_per_second,
                           uint64_t seed)
    : arrivals_(arrivals), rate_per_second_(rate_per_second), random_(seed) {}

absl::Duration LoadSchedule::Next() {
  if (arrivals_ == Arrivals::kConstant) {
    // Not summed up, so that errors do not add up either.
    return absl::Seconds(static_cast<double>(sent_++) / rate_per_second_);
  }
  // Own formula: std::exponential_distribution differs between libraries.
  const double uniform = (static_cast<double>(random_() >> 11) + 1.0) * 0x1p-53;
  poisson_seconds_ -= std::log(uniform) / rate_per_second_;
  return absl::Seconds(poisson_seconds_);
}

}  // namespace attn::attnctl
