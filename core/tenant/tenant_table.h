// All tenants of a server, found by the name that their credentials stand for.
// Those that the operator named are there from the start, others from their
// first call on; none ever goes, so that a pointer to one stays good.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "core/tenant/tenant.h"

namespace attn {

struct NamedTenant {
  std::string name;
  TenantLimits limits;
};

// Thread-safe. Must outlive whatever its tenants own.
class TenantTable {
 public:
  // Bounds what tables by tenant come to.
  static constexpr int64_t kMaxTenants = 4096;

  // `defaults` are for those that `named` does not name. Everybody, the tenant
  // of calls without a name, has no bounds and weight 1. REQUIRES: names are
  // not empty and each is there once; fewer than kMaxTenants.
  TenantTable(const TenantLimits& defaults, std::vector<NamedTenant> named);

  // Whose calls have no name. Its number is 0.
  Tenant& everybody() { return *everybody_; }

  // The tenant, which is made if need be; everybody for an empty name. Does not
  // allocate for one that is there. RESOURCE_EXHAUSTED / QUOTA for a new one
  // beyond kMaxTenants.
  absl::StatusOr<Tenant*> Find(std::string_view name);

  struct Line {
    std::string name;
    TenantUsage usage;
  };
  // What each named one has, in the order given, and last, as "other", all the
  // rest together: for metrics, whose labels must be bounded.
  std::vector<Line> Usage() const;

 private:
  // So that a string_view is looked up without a string.
  struct Hash {
    // NOLINTNEXTLINE(readability-identifier-naming): the standard's name.
    using is_transparent = void;
    size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>()(text);
    }
  };

  Tenant* FindLocked(std::string_view name) const
      ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  Tenant* Add(std::string name, const TenantLimits& limits)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const TenantLimits defaults_;
  const int64_t num_named_;
  Tenant* everybody_ = nullptr;

  mutable absl::Mutex mutex_;
  // By number; everybody, then those that were named.
  std::vector<std::unique_ptr<Tenant>> tenants_ ABSL_GUARDED_BY(mutex_);
  std::unordered_map<std::string, Tenant*, Hash, std::equal_to<>> by_name_
      ABSL_GUARDED_BY(mutex_);
};

}  // namespace attn
