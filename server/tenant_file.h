// What the operator grants to whom: the contents of --tenants. A line names a
// tenant and what differs from the --tenant-... settings for it:
//
//   # tenant     weight=1..1000  kv-memory=SIZE  max-sessions=N  queue-share=N%
//   search       weight=4  kv-memory=8GiB  queue-share=75%
//   nightly      max-sessions=100  queue-share=10%
//
// 0 or off is no bound.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "core/tenant/tenant_table.h"

namespace attn {

// In the text's order. Strict: INVALID_ARGUMENT with the number of the line
// that breaks a rule, the rule and what was found.
absl::StatusOr<std::vector<NamedTenant>> ParseTenants(
    std::string_view text, const TenantLimits& defaults);

// Likewise, of a file. Errors name it; NOT_FOUND or PERMISSION_DENIED if it
// cannot be read.
absl::StatusOr<std::vector<NamedTenant>> ReadTenants(
    const std::string& path, const TenantLimits& defaults);

}  // namespace attn
