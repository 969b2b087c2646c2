#include "core/kv_cache/session_store.h"

#include <algorithm>
#include <memory>

#include "absl/strings/str_cat.h"
#include "core/base/check.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/kv_cache/session_id.h"

namespace attn {
namespace {

// Sessions that are looked at with the lock held.
constexpr int64_t kSweepStep = 256;

absl::Status Gone(Reason reason, std::string_view id, std::string_view why) {
  // Only an id can be repeated to the client; other text may be anything.
  const bool is_id = IsSessionId(id);
  return MakeError(absl::StatusCode::kNotFound, reason,
                   absl::StrCat("session_id ", is_id ? std::string(id) : "",
                                is_id ? " " : "", std::string(why)));
}

// Ends of all tenants are remembered together; no number has a slash.
std::string NameOfEnd(int64_t tenant_number, std::string_view id) {
  return absl::StrCat(tenant_number, "/", std::string(id));
}

}  // namespace

// Declared before the lock, so that it goes after it.
class SessionStore::Closed {
 public:
  explicit Closed(SessionMetrics& metrics) : metrics_(metrics) {}
  Closed(const Closed&) = delete;
  Closed& operator=(const Closed&) = delete;
  ~Closed() {
    for (const auto& [session, end] : sessions_) metrics_.SessionClosed(end);
  }
  void Add(SessionPtr session, SessionEnd end) {
    sessions_.emplace_back(std::move(session), end);
  }

 private:
  SessionMetrics& metrics_;
  std::vector<std::pair<SessionPtr, SessionEnd>> sessions_;
};

SessionStore::SessionStore(const SessionLimits& limits,
                           Dependencies dependencies)
    : limits_(limits),
      dependencies_(std::move(dependencies)),
      boot_id_(MakeBootId(dependencies_.random())) {}

absl::StatusOr<SessionPtr> SessionStore::Create(Tenant& tenant,
                                                const std::string& id,
                                                const KvSpec& spec) {
  ATTN_ASSIGN_OR_RETURN(SessionPtr session, Build(tenant, id, spec));
  return Insert(std::move(session));
}

absl::StatusOr<SessionPtr> SessionStore::Build(Tenant& tenant,
                                               const std::string& id,
                                               const KvSpec& spec) {
  if (!id.empty()) ATTN_RETURN_IF_ERROR(CheckSessionId(id));
  ATTN_ASSIGN_OR_RETURN(const KvSpec resolved, ResolveSpec(spec, limits_));
  return std::make_shared<Session>(Session::Name{tenant, IdOr(id)}, resolved,
                                   dependencies_.pool,
                                   dependencies_.clock.Now());
}

absl::StatusOr<SessionPtr> SessionStore::Fork(Tenant& tenant,
                                              const std::string& source_id,
                                              const std::string& id,
                                              std::optional<int64_t> length) {
  if (!id.empty()) ATTN_RETURN_IF_ERROR(CheckSessionId(id));
  ATTN_ASSIGN_OR_RETURN(const SessionPtr source, Use(tenant, source_id));
  auto fork =
      std::make_shared<Session>(Session::Name{tenant, IdOr(id)}, source->spec(),
                                dependencies_.pool, dependencies_.clock.Now());
  // Without the store's lock: the source's layers may be busy.
  ATTN_RETURN_IF_ERROR(fork->ForkFrom(*source, length));
  return Insert(std::move(fork));
}

absl::StatusOr<SessionPtr> SessionStore::Adopt(SessionPtr session) {
  return Insert(std::move(session));
}

absl::Status SessionStore::Replace(SessionPtr session) {
  Closed closed(dependencies_.metrics);
  absl::MutexLock lock(&mutex_);
  const TimePoint now = dependencies_.clock.Now();
  const auto old = FindAlive(KeyOf(*session), now, closed);
  if (old != entries_.end()) Close(old, SessionEnd::kDeleted, now, closed);
  return Insert(std::move(session), now, closed).status();
}

void SessionStore::End(const SessionPtr& session) {
  Closed closed(dependencies_.metrics);
  absl::MutexLock lock(&mutex_);
  const TimePoint now = dependencies_.clock.Now();
  const auto it = FindAlive(KeyOf(*session), now, closed);
  if (it == entries_.end() || it->second.session != session) return;
  Close(it, SessionEnd::kDeleted, now, closed);
}

absl::Status SessionStore::CheckRoom(Tenant& tenant, const std::string& id) {
  Closed closed(dependencies_.metrics);
  absl::MutexLock lock(&mutex_);
  return FindRoom(tenant, id, dependencies_.clock.Now(), closed);
}

absl::Status SessionStore::FindRoom(Tenant& tenant, const std::string& id,
                                    TimePoint now, Closed& closed) {
  if (FindAlive({tenant.number(), id}, now, closed) != entries_.end()) {
    return MakeError(absl::StatusCode::kAlreadyExists, Reason::kSessionExists,
                     absl::StrCat("session_id ", id, " exists already"));
  }
  const auto max = static_cast<size_t>(limits_.max_sessions);
  const auto is_full = [&] {
    mutex_.AssertHeld();
    return entries_.size() >= max || !tenant.HasRoomForSession();
  };
  while (is_full() && CloseDue(kSweepStep, now, closed)) {
  }
  ATTN_RETURN_IF_ERROR(tenant.CheckSessions());
  if (entries_.size() >= max) {
    return MakeError(
        absl::StatusCode::kResourceExhausted, Reason::kQuota,
        absl::StrCat("sessions must be at most ", max, "; there are ",
                     entries_.size(), " and none is past its idle_ttl"));
  }
  return absl::OkStatus();
}

absl::StatusOr<SessionPtr> SessionStore::Insert(SessionPtr session) {
  Closed closed(dependencies_.metrics);
  absl::MutexLock lock(&mutex_);
  return Insert(std::move(session), dependencies_.clock.Now(), closed);
}

absl::StatusOr<SessionPtr> SessionStore::Insert(SessionPtr session,
                                                TimePoint now, Closed& closed) {
  Tenant& tenant = session->tenant();
  ATTN_RETURN_IF_ERROR(FindRoom(tenant, session->id(), now, closed));
  session->MarkUsed(now);
  ends_.Forget(NameOfEnd(tenant.number(), session->id()));
  const auto due = schedule_.emplace(session->expires_at(), session.get());
  entries_.emplace(KeyOf(*session), Entry{session, due});
  tenant.AddSession();
  return session;
}

absl::StatusOr<SessionPtr> SessionStore::Use(const Tenant& tenant,
                                             const std::string& id) {
  return Find({tenant.number(), id}, /*is_use=*/true);
}

absl::StatusOr<SessionPtr> SessionStore::Look(const Tenant& tenant,
                                              const std::string& id) {
  return Find({tenant.number(), id}, /*is_use=*/false);
}

absl::StatusOr<SessionPtr> SessionStore::Find(const Key& key, bool is_use) {
  Closed closed(dependencies_.metrics);
  absl::MutexLock lock(&mutex_);
  const TimePoint now = dependencies_.clock.Now();
  const auto it = FindAlive(key, now, closed);
  if (it == entries_.end()) return WhyGone(key, now);
  if (is_use) it->second.session->MarkUsed(now);
  return it->second.session;
}

absl::Status SessionStore::Delete(const Tenant& tenant, const std::string& id) {
  Closed closed(dependencies_.metrics);
  absl::MutexLock lock(&mutex_);
  const TimePoint now = dependencies_.clock.Now();
  const Key key{tenant.number(), id};
  const auto it = FindAlive(key, now, closed);
  if (it == entries_.end()) return WhyGone(key, now);
  Close(it, SessionEnd::kDeleted, now, closed);
  return absl::OkStatus();
}

std::vector<SessionPtr> SessionStore::List(const Tenant& tenant,
                                           const std::string& after,
                                           int64_t page_size) {
  Closed closed(dependencies_.metrics);
  std::vector<SessionPtr> sessions;
  absl::MutexLock lock(&mutex_);
  const TimePoint now = dependencies_.clock.Now();
  auto it = entries_.upper_bound({tenant.number(), after});
  const auto is_of_tenant = [&] {
    mutex_.AssertHeld();
    return it != entries_.end() && it->first.tenant_number == tenant.number();
  };
  while (is_of_tenant() && std::ssize(sessions) < page_size) {
    if (IsExpired(it->second, now)) {
      it = Close(it, SessionEnd::kExpired, now, closed);
    } else {
      sessions.push_back((it++)->second.session);
    }
  }
  return sessions;
}

void SessionStore::Sweep() {
  const TimePoint now = dependencies_.clock.Now();
  bool has_more = true;
  while (has_more) {
    Closed closed(dependencies_.metrics);
    absl::MutexLock lock(&mutex_);
    has_more = CloseDue(kSweepStep, now, closed);
    ends_.ForgetOld(now);
  }
}

int64_t SessionStore::size() const {
  absl::MutexLock lock(&mutex_);
  return std::ssize(entries_);
}

std::string SessionStore::IdOr(const std::string& id) {
  if (!id.empty()) return id;
  absl::MutexLock lock(&mutex_);
  return MakeSessionId(boot_id_, dependencies_.random);
}

absl::Status SessionStore::WhyGone(const Key& key, TimePoint now) const {
  const auto& [tenant_number, id] = key;
  const std::optional<SessionEnd> end =
      ends_.Find(NameOfEnd(tenant_number, id), now);
  if (end == SessionEnd::kDeleted) {
    return Gone(Reason::kSessionDeleted, id, "was deleted");
  }
  if (end == SessionEnd::kExpired) {
    return Gone(Reason::kSessionExpired, id, "was idle for too long");
  }
  if (IsOfAnotherBoot(id, boot_id_)) {
    return Gone(Reason::kServerRestarted, id,
                "was lost when the server restarted");
  }
  return Gone(Reason::kSessionNeverExisted, id, "names no session");
}

// Only the store hands out references, under the lock: a session that it alone
// holds stays so.
bool SessionStore::IsExpired(const Entry& entry, TimePoint now) const {
  return entry.session.use_count() == 1 && entry.session->expires_at() <= now;
}

SessionStore::Entries::iterator SessionStore::FindAlive(const Key& key,
                                                        TimePoint now,
                                                        Closed& closed) {
  const auto it = entries_.find(key);
  if (it == entries_.end() || !IsExpired(it->second, now)) return it;
  Close(it, SessionEnd::kExpired, now, closed);
  return entries_.end();
}

SessionStore::Entries::iterator SessionStore::Close(Entries::iterator it,
                                                    SessionEnd end,
                                                    TimePoint now,
                                                    Closed& closed) {
  ends_.Remember(NameOfEnd(it->first.tenant_number, it->first.id), end, now);
  schedule_.erase(it->second.due);
  it->second.session->tenant().DropSession();
  closed.Add(std::move(it->second.session), end);
  return entries_.erase(it);
}

bool SessionStore::CloseDue(int64_t count, TimePoint now, Closed& closed) {
  const auto is_due = [&] {
    mutex_.AssertHeld();
    return !schedule_.empty() && schedule_.begin()->first <= now;
  };
  for (; count > 0 && is_due(); --count) {
    const auto it = entries_.find(KeyOf(*schedule_.begin()->second));
    Entry& entry = it->second;
    if (IsExpired(entry, now)) {
      Close(it, SessionEnd::kExpired, now, closed);
      continue;
    }
    // Used since, or in use: look again later.
    const TimePoint later =
        std::max(entry.session->expires_at(), now + Duration(1));
    schedule_.erase(entry.due);
    entry.due = schedule_.emplace(later, entry.session.get());
  }
  return is_due();
}

}  // namespace attn
