// How much a second: what reports make of an amount and its time.
#pragma once

#include "absl/time/time.h"

namespace attn::attnctl {

// 0 where no time has passed.
inline double PerSecond(double amount, absl::Duration elapsed) {
  const double seconds = absl::ToDoubleSeconds(elapsed);
  return seconds > 0 ? amount / seconds : 0.0;
}

}  // namespace attn::attnctl
