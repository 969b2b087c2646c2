// All KV-cache sessions of a server: found by tenant and id, bounded in number,
// freed when idle, and remembered for a while when gone, so that a client
// learns why.
//
// A session belongs to a tenant. To others it does not exist, nor did it ever:
// they are told what they would be told without it, and may use its id.
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
#include <string_view>
#include <tuple>
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
#include "core/tenant/tenant.h"

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
  // RESOURCE_EXHAUSTED / QUOTA beyond max_sessions, the tenant's or the
  // server's (idle ones that are past their time are freed first);
  // INVALID_ARGUMENT for a bad id or spec. The tenant must outlive the session.
  absl::StatusOr<SessionPtr> Create(Tenant& tenant, const std::string& id,
                                    const KvSpec& spec);

  // The tenant's session, used now. NOT_FOUND with SESSION_NEVER_EXISTED,
  // SESSION_EXPIRED, SESSION_DELETED or SERVER_RESTARTED.
  absl::StatusOr<SessionPtr> Use(const Tenant& tenant, const std::string& id);
  // The same without prolonging its life.
  absl::StatusOr<SessionPtr> Look(const Tenant& tenant, const std::string& id);

  // A session of its own that shares the first `length` tokens of every layer
  // (absent: all that each has), as they are at one moment. All or nothing.
  // Create's and Use's errors, FAILED_PRECONDITION / LENGTH_MISMATCH when some
  // layer has fewer.
  absl::StatusOr<SessionPtr> Fork(Tenant& tenant, const std::string& source_id,
                                  const std::string& id,
                                  std::optional<int64_t> length);

  // Takes in a session that was built elsewhere, on this store's pool. Create's
  // errors, except for the spec. REQUIRES: a legal id.
  absl::StatusOr<SessionPtr> Adopt(SessionPtr session);
  // A session that nobody finds until it is taken in. Create's errors, but for
  // those of the room.
  absl::StatusOr<SessionPtr> Build(Tenant& tenant, const std::string& id,
                                   const KvSpec& spec);
  // Adopt, in place of a living session of that tenant and id.
  absl::Status Replace(SessionPtr session);
  // Deletes this very session; no effect if it is gone or was replaced.
  void End(const SessionPtr& session);
  // Whether Adopt would find room now; it may change its mind.
  absl::Status CheckRoom(Tenant& tenant, const std::string& id);

  // Use's errors.
  absl::Status Delete(const Tenant& tenant, const std::string& id);

  // Up to `page_size` of the tenant's sessions whose ids come after `after`, in
  // order.
  std::vector<SessionPtr> List(const Tenant& tenant, const std::string& after,
                               int64_t page_size);

  // Frees what has been idle for too long; forgets old ends.
  void Sweep();

  int64_t size() const;
  PagePool& pool() { return dependencies_.pool; }
  const SessionLimits& limits() const { return limits_; }

 private:
  // Sessions by the earliest time at which they can expire: using one prolongs
  // its life without touching this, so a time that comes is looked at again.
  using Schedule = std::multimap<TimePoint, const Session*>;
  struct Entry {
    SessionPtr session;
    Schedule::iterator due;
  };
  // A tenant's sessions stand together, by id, which is the session's own.
  struct Key {
    int64_t tenant_number = 0;
    std::string_view id;

    friend bool operator<(const Key& a, const Key& b) {
      return std::tie(a.tenant_number, a.id) < std::tie(b.tenant_number, b.id);
    }
  };
  using Entries = std::map<Key, Entry>;
  // Closed sessions are freed, which may take milliseconds, without the lock.
  class Closed;

  static Key KeyOf(const Session& session) {
    return {session.tenant().number(), session.id()};
  }
  absl::StatusOr<SessionPtr> Find(const Key& key, bool is_use);
  absl::StatusOr<SessionPtr> Insert(SessionPtr session);
  absl::StatusOr<SessionPtr> Insert(SessionPtr session, TimePoint now,
                                    Closed& closed)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status FindRoom(Tenant& tenant, const std::string& id, TimePoint now,
                        Closed& closed) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::string IdOr(const std::string& id);
  absl::Status WhyGone(const Key& key, TimePoint now) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool IsExpired(const Entry& entry, TimePoint now) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The session's entry, or the end; closes it if its time has come.
  Entries::iterator FindAlive(const Key& key, TimePoint now, Closed& closed)
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
  SessionEnds ends_ ABSL_GUARDED_BY(mutex_);  // By NameOfEnd.
};

}  // namespace attn
