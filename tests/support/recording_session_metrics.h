// Counts the sessions that a store closes.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "core/kv_cache/session_store.h"

namespace attn::test {

// Thread-safe.
class RecordingSessionMetrics final : public SessionMetrics {
 public:
  void SessionClosed(SessionEnd end) override {
    ++closed_[static_cast<size_t>(end)];
  }
  int64_t closed(SessionEnd end) const {
    return closed_[static_cast<size_t>(end)];
  }

 private:
  std::array<std::atomic<int64_t>, 2> closed_{};
};

}  // namespace attn::test
