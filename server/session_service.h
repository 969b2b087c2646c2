// attn.v1.SessionService. AppendKv is registered raw, as the methods that carry
// tensors are (append_call.h); the others use generated messages: decode, call
// the store, encode. Snapshots are streams (snapshot_calls.h).
#pragma once

#include <functional>

#include "attn/v1/session.grpc.pb.h"
#include "server/access/gate.h"
#include "server/request_flow.h"
#include "server/rpc_method.h"
#include "server/service_with.h"

namespace attn {

using SessionServiceBase =
    ServiceWith<v1::SessionService::Service,
                v1::SessionService::WithRawCallbackMethod_AppendKv,
                v1::SessionService::WithCallbackMethod_CreateSession,
                v1::SessionService::WithCallbackMethod_ForkSession,
                v1::SessionService::WithCallbackMethod_TruncateSession,
                v1::SessionService::WithCallbackMethod_GetSession,
                v1::SessionService::WithCallbackMethod_ListSessions,
                v1::SessionService::WithCallbackMethod_DeleteSession,
                v1::SessionService::WithCallbackMethod_ExportSession,
                v1::SessionService::WithCallbackMethod_ImportSession>::Type;

// Thread-safe. Must outlive the grpc::Server that it is registered with.
class SessionService final : public SessionServiceBase {
 public:
  explicit SessionService(const Gate<AttendContext>& gate) : gate_(gate) {}

  grpc::ServerUnaryReactor* AppendKv(grpc::CallbackServerContext* context,
                                     const grpc::ByteBuffer* request,
                                     grpc::ByteBuffer* response) override;
  grpc::ServerUnaryReactor* CreateSession(
      grpc::CallbackServerContext* context,
      const v1::CreateSessionRequest* request, v1::Session* response) override;
  grpc::ServerUnaryReactor* ForkSession(grpc::CallbackServerContext* context,
                                        const v1::ForkSessionRequest* request,
                                        v1::Session* response) override;
  grpc::ServerUnaryReactor* TruncateSession(
      grpc::CallbackServerContext* context,
      const v1::TruncateSessionRequest* request,
      v1::Session* response) override;
  grpc::ServerUnaryReactor* GetSession(grpc::CallbackServerContext* context,
                                       const v1::GetSessionRequest* request,
                                       v1::Session* response) override;
  grpc::ServerUnaryReactor* ListSessions(
      grpc::CallbackServerContext* context,
      const v1::ListSessionsRequest* request,
      v1::ListSessionsResponse* response) override;
  grpc::ServerUnaryReactor* DeleteSession(
      grpc::CallbackServerContext* context,
      const v1::DeleteSessionRequest* request,
      v1::DeleteSessionResponse* response) override;
  grpc::ServerWriteReactor<v1::SnapshotChunk>* ExportSession(
      grpc::CallbackServerContext* context,
      const v1::ExportSessionRequest* request) override;
  grpc::ServerReadReactor<v1::ImportSessionRequest>* ImportSession(
      grpc::CallbackServerContext* context, v1::Session* response) override;

 private:
  using Handler = std::function<absl::Status(const AttendContext&, Tenant&)>;

  // Runs `handle` for a caller that is let in, and ends the RPC with what it
  // says. `changes`: the method makes or changes sessions, which a draining
  // server refuses.
  grpc::ServerUnaryReactor* Answer(grpc::CallbackServerContext& context,
                                   RpcMethod method, bool changes,
                                   const Handler& handle);

  const Gate<AttendContext> gate_;
};

}  // namespace attn
