// Sessions that are no more, and why: remembered for a while, so that a client
// that comes back learns it.
#pragma once

#include <chrono>
#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "core/base/clock.h"
#include "core/metrics/session_metrics.h"

namespace attn {

// Thread-compatible.
class SessionEnds {
 public:
  // For how long, and how many; beyond that the oldest is forgotten first.
  static constexpr Duration kRemembered = std::chrono::hours(1);
  static constexpr int64_t kMaxEnds = 65536;

  // `now` may lag a little behind that of the call before.
  void Remember(const std::string& id, SessionEnd end, TimePoint now);
  // An id that is in use again.
  void Forget(const std::string& id);
  void ForgetOld(TimePoint now);

  std::optional<SessionEnd> Find(const std::string& id, TimePoint now) const;
  int64_t size() const { return static_cast<int64_t>(by_age_.size()); }

 private:
  struct Ended {
    std::string id;
    SessionEnd end;
    TimePoint at;
  };

  std::list<Ended> by_age_;  // Oldest first.
  // Keys point into the list.
  std::unordered_map<std::string_view, std::list<Ended>::iterator> by_id_;
};

}  // namespace attn
