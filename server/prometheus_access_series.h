// The series of server/access: who was turned away, and how fresh the
// credentials are.
#pragma once

#include <array>

#include "server/access/access_point.h"

namespace prometheus {
class Counter;
class Gauge;
class Registry;
}  // namespace prometheus

namespace attn {

// Handles owned by the registry.
struct AccessSeries {
  // By AccessPoint; first those without good credentials, then those whose
  // credentials do not allow it.
  std::array<std::array<prometheus::Counter*, 2>, 3> denied{};
  // By CredentialFiles; first those that were taken, then those that were not.
  std::array<std::array<prometheus::Counter*, 2>, 2> reloads{};
  prometheus::Gauge* certificate_expiry_seconds = nullptr;
};

AccessSeries AddAccessSeries(prometheus::Registry& registry);

}  // namespace attn
