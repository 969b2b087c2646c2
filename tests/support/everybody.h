// A tenant without bounds, for tests that are not about tenants.
#pragma once

#include "core/tenant/tenant.h"

namespace attn::test {

inline Tenant& Everybody() {
  static Tenant everybody("", 0, {});
  return everybody;
}

}  // namespace attn::test
