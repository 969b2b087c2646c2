// Asks Access about each gRPC call, finds its tenant, and books those that it
// turns away: they are RPCs as all others in the metrics, and examples in the
// log.
#pragma once

#include "absl/status/statusor.h"
#include "core/tenant/tenant_table.h"
#include "grpcpp/server_context.h"
#include "server/access/access.h"
#include "server/failure_log.h"
#include "server/prometheus_metrics.h"
#include "server/rpc_method.h"

namespace attn {

// Thread-safe.
class Doorkeeper {
 public:
  // What it books with. Borrowed; all must outlive it.
  struct Books {
    PrometheusMetrics& metrics;
    FailureLog& failure_log;
    const Clock& clock;
  };

  // Borrows both, which must outlive it.
  Doorkeeper(const Access& access, TenantTable& tenants, const Books& books)
      : access_(access), tenants_(tenants), books_(books) {}

  // Whose call it is. The errors of Access::Admit and TenantTable::Find. A call
  // that is let in is not counted yet: its handler does that.
  absl::StatusOr<Tenant*> Admit(RpcMethod method,
                                const grpc::CallbackServerContext& call) const;

 private:
  absl::StatusOr<Tenant*> TenantOf(
      const grpc::CallbackServerContext& call) const;

  const Access& access_;
  TenantTable& tenants_;
  const Books books_;
};

}  // namespace attn
