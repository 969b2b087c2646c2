// All KV-cache sessions of a server: found by id, bounded in number, freed when
// idle, and remembered for a while when gone, so that a client learns why.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/base/clock.h"
#include "core/kv_cache/page_pool.h"
#include "core/kv_cache/session.h"
#include "core/metrics/session_metrics.h"

namespace attn {

struct SessionLimits {
  int64_t max_sessions = 65536;
  Duration idle_ttl = std::chrono::hours(1);
  // Tokens per layer; the default and the bound of KvSpec::max_length.
  int64_t max_length = int64_t{1} << 24;
};

// Thread-safe.
class SessionStore {
 public:
  // Borrows all three. `random` gives 64 random bits a call (injected: tests
  // replay); `boot_id` marks ids that this process made.
  struct Dependencies {
    PagePool& pool;
    const Clock& clock;
    SessionMetrics& metrics;
    std::function<uint64_t()> random;
  };
  SessionStore(const SessionLimits& limits, Dependencies dependencies);

  // `id` empty: "<boot id>-<128 random bits>". ALREADY_EXISTS / SESSION_EXISTS;
  // RESOURCE_EXHAUSTED / QUOTA beyond max_sessions (idle ones that are past
  // their time are freed first); INVALID_ARGUMENT for a bad id or spec.
  absl::StatusOr<SessionPtr> Create(const std::string& id, const KvSpec& spec);

  // The session, used now. NOT_FOUND with SESSION_NEVER_EXISTED,
  // SESSION_EXPIRED, SESSION_DELETED or SERVER_RESTARTED.
  absl::StatusOr<SessionPtr> Use(const std::string& id);
  // The same without prolonging its life.
  absl::StatusOr<SessionPtr> Look(const std::string& id);

  // A session of its own that shares the first `length` tokens of every layer
  // (absent: all that each has). All or nothing. Create's and Use's errors,
  // FAILED_PRECONDITION / LENGTH_MISMATCH when some layer has fewer.
  absl::StatusOr<SessionPtr> Fork(const std::string& source_id,
                                  const std::string& id,
                                  std::optional<int64_t> length);

  // Use's errors.
  absl::Status Delete(const std::string& id);

  // Up to `page_size` sessions whose ids come after `after`, in order.
  std::vector<SessionPtr> List(const std::string& after, int64_t page_size);

  // Frees what has been idle for too long; forgets old ends.
  void Sweep();

  int64_t size() const;
  PagePool& pool() { return dependencies_.pool; }

 private:
  Dependencies dependencies_;
  // The rest is the implementation's.
};

}  // namespace attn
