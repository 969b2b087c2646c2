// What the session store tells the outside about the ends of sessions. The
// server's implementation makes Prometheus counters of it.
#pragma once

namespace attn {

// Why a session is no more.
enum class SessionEnd { kDeleted, kExpired };

// Thread-safe: called from any thread, must not block.
class SessionMetrics {
 public:
  virtual ~SessionMetrics() = default;
  virtual void SessionClosed(SessionEnd end) = 0;
};

// Counts nothing.
class NullSessionMetrics final : public SessionMetrics {
 public:
  void SessionClosed(SessionEnd) override {}
};

}  // namespace attn
