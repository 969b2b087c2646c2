#include "core/tenant/tenant_table.h"

#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/check.h"
#include "core/base/error.h"

namespace attn {

TenantTable::TenantTable(const TenantLimits& defaults,
                         std::vector<NamedTenant> named)
    : defaults_(defaults), num_named_(std::ssize(named)) {
  ATTN_CHECK(num_named_ < kMaxTenants);
  absl::MutexLock lock(&mutex_);
  everybody_ = Add("", {});
  for (NamedTenant& tenant : named) {
    ATTN_CHECK(FindLocked(tenant.name) == nullptr);
    Add(std::move(tenant.name), tenant.limits);
  }
}

absl::StatusOr<Tenant*> TenantTable::Find(std::string_view name) {
  if (name.empty()) return everybody_;
  {
    absl::ReaderMutexLock lock(&mutex_);
    if (Tenant* tenant = FindLocked(name)) return tenant;
  }
  absl::MutexLock lock(&mutex_);
  // Another thread may have been faster.
  if (Tenant* tenant = FindLocked(name)) return tenant;
  if (std::ssize(tenants_) >= kMaxTenants) {
    return MakeError(
        absl::StatusCode::kResourceExhausted, Reason::kQuota,
        absl::StrCat("tenants must be at most ", kMaxTenants,
                     "; there are as many, and the caller is a new one"));
  }
  return Add(std::string(name), defaults_);
}

std::vector<TenantTable::Line> TenantTable::Usage() const {
  absl::ReaderMutexLock lock(&mutex_);
  std::vector<Line> lines;
  TenantUsage other = everybody_->usage();
  for (int64_t i = 1; i < std::ssize(tenants_); ++i) {
    const Tenant& tenant = *tenants_[i];
    if (i <= num_named_) {
      lines.push_back({tenant.name(), tenant.usage()});
    } else {
      other += tenant.usage();
    }
  }
  lines.push_back({"other", other});
  return lines;
}

Tenant* TenantTable::FindLocked(std::string_view name) const {
  const auto it = by_name_.find(name);
  return it == by_name_.end() ? nullptr : it->second;
}

Tenant* TenantTable::Add(std::string name, const TenantLimits& limits) {
  auto tenant = std::make_unique<Tenant>(name, std::ssize(tenants_), limits);
  Tenant* added = tenant.get();
  tenants_.push_back(std::move(tenant));
  by_name_.emplace(std::move(name), added);
  return added;
}

}  // namespace attn
