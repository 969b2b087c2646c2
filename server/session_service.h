// attn.v1.SessionService. Sessions are not served yet: every method answers
// UNIMPLEMENTED and names itself, so that a client learns what it asked for.
#pragma once

#include "attn/v1/session.grpc.pb.h"
#include "server/prometheus_metrics.h"
#include "server/rpc_recorder.h"

namespace attn {

// Thread-safe. Must outlive the grpc::Server that it is registered with.
class SessionService final : public v1::SessionService::CallbackService {
 public:
  // Borrows both, which must outlive it.
  SessionService(PrometheusMetrics& metrics, const Clock& clock)
      : metrics_(metrics), clock_(clock) {}

  grpc::ServerUnaryReactor* CreateSession(grpc::CallbackServerContext* context,
                                          const v1::CreateSessionRequest*,
                                          v1::Session*) override;
  grpc::ServerUnaryReactor* ForkSession(grpc::CallbackServerContext* context,
                                        const v1::ForkSessionRequest*,
                                        v1::Session*) override;
  grpc::ServerUnaryReactor* TruncateSession(
      grpc::CallbackServerContext* context, const v1::TruncateSessionRequest*,
      v1::Session*) override;
  grpc::ServerUnaryReactor* AppendKv(grpc::CallbackServerContext* context,
                                     const v1::AppendKvRequest*,
                                     v1::AppendKvResponse*) override;
  grpc::ServerUnaryReactor* GetSession(grpc::CallbackServerContext* context,
                                       const v1::GetSessionRequest*,
                                       v1::Session*) override;
  grpc::ServerUnaryReactor* ListSessions(grpc::CallbackServerContext* context,
                                         const v1::ListSessionsRequest*,
                                         v1::ListSessionsResponse*) override;
  grpc::ServerUnaryReactor* DeleteSession(grpc::CallbackServerContext* context,
                                          const v1::DeleteSessionRequest*,
                                          v1::DeleteSessionResponse*) override;
  grpc::ServerWriteReactor<v1::SnapshotChunk>* ExportSession(
      grpc::CallbackServerContext* context,
      const v1::ExportSessionRequest*) override;
  grpc::ServerReadReactor<v1::ImportSessionRequest>* ImportSession(
      grpc::CallbackServerContext* context, v1::Session*) override;

 private:
  grpc::Status Refuse(RpcMethod method);
  grpc::ServerUnaryReactor* RefuseUnary(grpc::CallbackServerContext& context,
                                        RpcMethod method);

  PrometheusMetrics& metrics_;
  const Clock& clock_;
};

}  // namespace attn
