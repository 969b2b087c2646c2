// A tenant: one of those who share a server without knowing of each other. What
// it may have, and the ledger of what it has. Sessions, their pages and queued
// tasks belong to exactly one tenant; who takes something in its name says so
// here first.
//
// The ledger is exact: what was taken is given back once, so that all of it is
// 0 when the tenant's last session, snapshot and task is gone. A page is
// counted once, when it is taken from the pool, however many sessions share it
// by forks: forks stay within a tenant, so nobody holds pages that others pay.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "absl/status/status.h"

namespace attn {

// 0 is no bound, but for the weight.
struct TenantLimits {
  int64_t max_kv_bytes = 0;
  int64_t max_sessions = 0;
  // Of what the queue takes in tasks, in bytes and in time; at most 1.
  double queue_share = 0;
  // Computing time under contention, in proportion to the others'. Above 0.
  double weight = 1;

  friend bool operator==(const TenantLimits&, const TenantLimits&) = default;
};

// What a tenant has now, and what happened since the start.
struct TenantUsage {
  int64_t sessions = 0;
  int64_t kv_bytes = 0;
  int64_t queued_tasks = 0;
  int64_t inflight_bytes = 0;  // Of queued and running tasks.
  int64_t admitted_tasks = 0;
  int64_t refused_sessions = 0;  // For a bound of its own, as the next two.
  int64_t refused_kv_pages = 0;
  int64_t refused_tasks = 0;

  TenantUsage& operator+=(const TenantUsage& other);
};

// Thread-safe.
class Tenant {
 public:
  // `number`: small and its own, for tables of those who keep something for
  // each tenant. `name` empty: everybody, when nobody is told apart.
  Tenant(std::string name, int64_t number, const TenantLimits& limits);
  Tenant(const Tenant&) = delete;
  Tenant& operator=(const Tenant&) = delete;

  const std::string& name() const { return name_; }
  int64_t number() const { return number_; }
  const TenantLimits& limits() const { return limits_; }

  // RESOURCE_EXHAUSTED / QUOTA, with the numbers, beyond max_kv_bytes.
  absl::Status TakeKvBytes(int64_t bytes);
  void ReturnKvBytes(int64_t bytes);
  // The same before any is taken: whether so many would fit now.
  absl::Status CheckKvBytes(int64_t bytes);

  // RESOURCE_EXHAUSTED / QUOTA beyond max_sessions.
  absl::Status CheckSessions();
  void AddSession();
  void DropSession();
  bool HasRoomForSession() const;

  // For Admission, whose lock orders them.
  void TaskAdmitted() { Count(admitted_tasks_); }
  void TaskRefused() { Count(refused_tasks_); }
  void QueueChanged(int64_t queued_tasks, int64_t inflight_bytes);

  int64_t sessions() const { return Read(sessions_); }
  int64_t kv_bytes() const { return Read(kv_bytes_); }
  TenantUsage usage() const;

 private:
  using Number = std::atomic<int64_t>;

  static int64_t Read(const Number& number) {
    return number.load(std::memory_order_relaxed);
  }
  static void Count(Number& number) {
    number.fetch_add(1, std::memory_order_relaxed);
  }
  absl::Status KvQuota(int64_t bytes, int64_t found);

  const std::string name_;
  const int64_t number_;
  const TenantLimits limits_;

  Number sessions_{0};
  Number kv_bytes_{0};
  Number queued_tasks_{0};
  Number inflight_bytes_{0};
  Number admitted_tasks_{0};
  Number refused_sessions_{0};
  Number refused_kv_pages_{0};
  Number refused_tasks_{0};
};

}  // namespace attn
