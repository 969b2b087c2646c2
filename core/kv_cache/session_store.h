// All KV-cache sessions of a server: found by id, bounded in number, freed when
// idle, and remembered for a while when gone, so that a client learns why.
//
// A session expires when nobody used it for its idle_ttl; that is noticed by
// the next call that meets it, by Sweep, and when room is needed. A session
// that somebody holds (a call in flight) does not expire under him; one that is
// deleted under him stays his own until he lets go.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "core/base/clock.h"
#include "core/kv_cache/page_pool.h"
#include "core/kv_cache/session.h"
#include "core/kv_cache/session_ends.h"
#include "core/kv_cache/session_spec.h"
#include "core/metrics/session_metrics.h"

namespace attn {

// Thread-safe.
class SessionStore {
 public:
  // Borrows the first three. `random` gives 64 random bits a call, one call at
  // a time (injected: tests replay); the first makes the boot id, which marks
  // ids that this process made.
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
  // (absent: all that each has), as they are at one moment. All or nothing.
  // Create's and Use's errors, FAILED_PRECONDITION / LENGTH_MISMATCH when some
  // layer has fewer.
  absl::StatusOr<SessionPtr> Fork(const std::string& source_id,
                                  const std::string& id,
                                  std::optional<int64_t> length);

  // Takes in a session that was built elsewhere, on this store's pool. Create's
  // errors, except for the spec. REQUIRES: a legal id.
  absl::StatusOr<SessionPtr> Adopt(SessionPtr session);
  // A session that nobody finds until it is taken in. Create's errors, but for
  // those of the room.
  absl::StatusOr<SessionPtr> Build(const std::string& id, const KvSpec& spec);
  // Adopt, in place of a living session of that id.
  absl::Status Replace(SessionPtr session);
  // Deletes this very session; no effect if it is gone or was replaced.
  void End(const SessionPtr& session);
  // Whether Adopt would find room now; it may change its mind.
  absl::Status CheckRoom(const std::string& id);

  // Use's errors.
  absl::Status Delete(const std::string& id);

  // Up to `page_size` sessions whose ids come after `after`, in order.
  std::vector<SessionPtr> List(const std::string& after, int64_t page_size);

  // Frees what has been idle for too long; forgets old ends.
  void Sweep();

  int64_t size() const;
  PagePool& pool() { return dependencies_.pool; }
  const SessionLimits& limits() const { return limits_; }

 private:
  // Sessions by the earliest time at which they can expire: using one prolongs
  // its life without touching this, so a time that comes is looked at again.
  using Schedule = std::multimap<TimePoint, std::string>;
  struct Entry {
    SessionPtr session;
    Schedule::iterator due;
  };
  using Entries = std::map<std::string, Entry>;
  // Closed sessions are freed, which may take milliseconds, without the lock.
  class Closed;

  absl::StatusOr<SessionPtr> Find(const std::string& id, bool is_use);
  absl::StatusOr<SessionPtr> Insert(SessionPtr session);
  absl::StatusOr<SessionPtr> Insert(SessionPtr session, TimePoint now,
                                    Closed& closed)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status FindRoom(const std::string& id, TimePoint now, Closed& closed)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::string IdOr(const std::string& id);
  absl::Status WhyGone(const std::string& id, TimePoint now) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool IsExpired(const Entry& entry, TimePoint now) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The session's entry, or the end; closes it if its time has come.
  Entries::iterator FindAlive(const std::string& id, TimePoint now,
                              Closed& closed)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Entries::iterator Close(Entries::iterator it, SessionEnd end, TimePoint now,
                          Closed& closed) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Closes expired ones, looking at up to `count`; whether more are due.
  bool CloseDue(int64_t count, TimePoint now, Closed& closed)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const SessionLimits limits_;
  const Dependencies dependencies_;
  const std::string boot_id_;

  mutable absl::Mutex mutex_;
  Entries entries_ ABSL_GUARDED_BY(mutex_);
  Schedule schedule_ ABSL_GUARDED_BY(mutex_);
  SessionEnds ends_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace attn
