#include "server/session_service.h"

#include "absl/strings/str_cat.h"
#include "core/base/error.h"
#include "server/grpc_status.h"

namespace attn {
namespace {

template <typename Base>
class RefusedCall final : public Base {
 public:
  explicit RefusedCall(const grpc::Status& status) { this->Finish(status); }
  void OnDone() override { delete this; }
};

}  // namespace

grpc::Status SessionService::Refuse(RpcMethod method) {
  RpcRecorder(metrics_, method, clock_).Finish(grpc::UNIMPLEMENTED);
  const std::string name(FactsOf(method).method);
  return ToGrpcStatus(NotServed(absl::StrCat("SessionService.", name)));
}

grpc::ServerUnaryReactor* SessionService::RefuseUnary(
    grpc::CallbackServerContext& context, RpcMethod method) {
  grpc::ServerUnaryReactor* reactor = context.DefaultReactor();
  reactor->Finish(Refuse(method));
  return reactor;
}

grpc::ServerUnaryReactor* SessionService::CreateSession(
    grpc::CallbackServerContext* context, const v1::CreateSessionRequest*,
    v1::Session*) {
  return RefuseUnary(*context, RpcMethod::kCreateSession);
}

grpc::ServerUnaryReactor* SessionService::ForkSession(
    grpc::CallbackServerContext* context, const v1::ForkSessionRequest*,
    v1::Session*) {
  return RefuseUnary(*context, RpcMethod::kForkSession);
}

grpc::ServerUnaryReactor* SessionService::TruncateSession(
    grpc::CallbackServerContext* context, const v1::TruncateSessionRequest*,
    v1::Session*) {
  return RefuseUnary(*context, RpcMethod::kTruncateSession);
}

grpc::ServerUnaryReactor* SessionService::AppendKv(
    grpc::CallbackServerContext* context, const v1::AppendKvRequest*,
    v1::AppendKvResponse*) {
  return RefuseUnary(*context, RpcMethod::kAppendKv);
}

grpc::ServerUnaryReactor* SessionService::GetSession(
    grpc::CallbackServerContext* context, const v1::GetSessionRequest*,
    v1::Session*) {
  return RefuseUnary(*context, RpcMethod::kGetSession);
}

grpc::ServerUnaryReactor* SessionService::ListSessions(
    grpc::CallbackServerContext* context, const v1::ListSessionsRequest*,
    v1::ListSessionsResponse*) {
  return RefuseUnary(*context, RpcMethod::kListSessions);
}

grpc::ServerUnaryReactor* SessionService::DeleteSession(
    grpc::CallbackServerContext* context, const v1::DeleteSessionRequest*,
    v1::DeleteSessionResponse*) {
  return RefuseUnary(*context, RpcMethod::kDeleteSession);
}

grpc::ServerWriteReactor<v1::SnapshotChunk>* SessionService::ExportSession(
    grpc::CallbackServerContext*, const v1::ExportSessionRequest*) {
  return new RefusedCall<grpc::ServerWriteReactor<v1::SnapshotChunk>>(
      Refuse(RpcMethod::kExportSession));
}

grpc::ServerReadReactor<v1::ImportSessionRequest>*
SessionService::ImportSession(grpc::CallbackServerContext*, v1::Session*) {
  return new RefusedCall<grpc::ServerReadReactor<v1::ImportSessionRequest>>(
      Refuse(RpcMethod::kImportSession));
}

}  // namespace attn
