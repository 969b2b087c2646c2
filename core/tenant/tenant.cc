#include "core/tenant/tenant.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/check.h"
#include "core/base/error.h"

namespace attn {
namespace {

// How errors call a tenant. Names come from the operator's files.
std::string Shown(const Tenant& tenant) {
  return tenant.name().empty() ? "everybody"
                               : absl::StrCat("tenant ", tenant.name());
}

}  // namespace

TenantUsage& TenantUsage::operator+=(const TenantUsage& other) {
  sessions += other.sessions;
  kv_bytes += other.kv_bytes;
  queued_tasks += other.queued_tasks;
  inflight_bytes += other.inflight_bytes;
  admitted_tasks += other.admitted_tasks;
  refused_sessions += other.refused_sessions;
  refused_kv_pages += other.refused_kv_pages;
  refused_tasks += other.refused_tasks;
  return *this;
}

Tenant::Tenant(std::string name, int64_t number, const TenantLimits& limits)
    : name_(std::move(name)), number_(number), limits_(limits) {
  ATTN_CHECK(limits.weight > 0 && limits.queue_share >= 0 &&
             limits.queue_share <= 1);
}

absl::Status Tenant::KvQuota(int64_t bytes, int64_t found) {
  Count(refused_kv_pages_);
  return MakeError(
      absl::StatusCode::kResourceExhausted, Reason::kQuota,
      absl::StrCat("KV memory of ", Shown(*this), " must be at most ",
                   limits_.max_kv_bytes, " bytes; ", found, " are in use, and ",
                   bytes, " more do not fit"));
}

absl::Status Tenant::TakeKvBytes(int64_t bytes) {
  int64_t found = Read(kv_bytes_);
  do {
    if (limits_.max_kv_bytes > 0 && found > limits_.max_kv_bytes - bytes) {
      return KvQuota(bytes, found);
    }
  } while (!kv_bytes_.compare_exchange_weak(found, found + bytes,
                                            std::memory_order_relaxed));
  return absl::OkStatus();
}

absl::Status Tenant::CheckKvBytes(int64_t bytes) {
  const int64_t found = kv_bytes();
  if (limits_.max_kv_bytes == 0 || found <= limits_.max_kv_bytes - bytes) {
    return absl::OkStatus();
  }
  return KvQuota(bytes, found);
}

void Tenant::ReturnKvBytes(int64_t bytes) {
  const int64_t before = kv_bytes_.fetch_sub(bytes, std::memory_order_relaxed);
  ATTN_CHECK(before >= bytes);
}

bool Tenant::HasRoomForSession() const {
  return limits_.max_sessions == 0 || sessions() < limits_.max_sessions;
}

absl::Status Tenant::CheckSessions() {
  if (HasRoomForSession()) return absl::OkStatus();
  Count(refused_sessions_);
  return MakeError(
      absl::StatusCode::kResourceExhausted, Reason::kQuota,
      absl::StrCat("sessions of ", Shown(*this), " must be at most ",
                   limits_.max_sessions, "; there are ", sessions(),
                   " and none is past its idle_ttl"));
}

void Tenant::AddSession() { Count(sessions_); }

void Tenant::DropSession() {
  const int64_t before = sessions_.fetch_sub(1, std::memory_order_relaxed);
  ATTN_CHECK(before > 0);
}

void Tenant::QueueChanged(int64_t queued_tasks, int64_t inflight_bytes) {
  queued_tasks_.store(queued_tasks, std::memory_order_relaxed);
  inflight_bytes_.store(inflight_bytes, std::memory_order_relaxed);
}

TenantUsage Tenant::usage() const {
  return {.sessions = Read(sessions_),
          .kv_bytes = Read(kv_bytes_),
          .queued_tasks = Read(queued_tasks_),
          .inflight_bytes = Read(inflight_bytes_),
          .admitted_tasks = Read(admitted_tasks_),
          .refused_sessions = Read(refused_sessions_),
          .refused_kv_pages = Read(refused_kv_pages_),
          .refused_tasks = Read(refused_tasks_)};
}

}  // namespace attn
