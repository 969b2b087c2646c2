// grpc.health.v1.Health: tells load balancers and probes whether to send calls.
// Our own, because gRPC's built-in one can neither keep "liveness" serving
// while the rest drains nor end open Watch streams, for which gRPC's Shutdown
// waits.
//
// It answers for "" and "readiness", "attn.v1.AttentionService",
// "attn.v1.SessionService", "attn.v1.LayerService" and
// "inference.GRPCInferenceService", which follow SetServing, and for
// "liveness", which serves as long as the process answers at all.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "core/base/clock.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "server/prometheus_metrics.h"

namespace attn {

class HealthWatch;

// Thread-safe. Must outlive the grpc::Server that it is registered with.
class HealthService final : public grpc::health::v1::Health::CallbackService {
 public:
  // The synchronous forms that CallbackService hides as well.
  using grpc::health::v1::Health::CallbackService::Check;
  using grpc::health::v1::Health::CallbackService::Watch;

  // Borrows both, which must outlive it.
  HealthService(PrometheusMetrics& metrics, const Clock& clock);
  ~HealthService() override;

  // Tells every open Watch stream of a change. Not serving at first.
  void SetServing(bool serving);

  // Ends every open Watch stream with UNAVAILABLE, and new ones at once: call
  // before the server's Shutdown. They first get the status that they are due.
  void EndWatches();

  grpc::ServerUnaryReactor* Check(
      grpc::CallbackServerContext* context,
      const grpc::health::v1::HealthCheckRequest* request,
      grpc::health::v1::HealthCheckResponse* response) override;
  grpc::ServerWriteReactor<grpc::health::v1::HealthCheckResponse>* Watch(
      grpc::CallbackServerContext* context,
      const grpc::health::v1::HealthCheckRequest* request) override;

 private:
  friend class HealthWatch;
  using ServingStatus = grpc::health::v1::HealthCheckResponse::ServingStatus;

  ServingStatus StatusLocked(std::string_view service) const
      ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  // Lets every stream go on after a change.
  void AdvanceAll() ABSL_LOCKS_EXCLUDED(mutex_);

  PrometheusMetrics& metrics_;
  const Clock& clock_;

  mutable absl::Mutex mutex_;
  bool serving_ ABSL_GUARDED_BY(mutex_) = false;
  bool watches_ended_ ABSL_GUARDED_BY(mutex_) = false;
  // Open streams by number; each owns itself and leaves in OnDone.
  std::map<uint64_t, HealthWatch*> watches_ ABSL_GUARDED_BY(mutex_);
  uint64_t next_watch_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace attn
