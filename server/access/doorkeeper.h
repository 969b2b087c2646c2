// Asks Access about each gRPC call, and books those that it turns away: they
// are RPCs as all others in the metrics, and examples in the log.
#pragma once

#include "absl/status/statusor.h"
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

  // Borrows access, which must outlive it.
  Doorkeeper(const Access& access, const Books& books)
      : access_(access), books_(books) {}

  // As Access::Admit. A call that is let in is not counted yet: its handler
  // does that.
  absl::StatusOr<Caller> Admit(RpcMethod method,
                               const grpc::CallbackServerContext& call) const;

 private:
  const Access& access_;
  const Books books_;
};

}  // namespace attn
