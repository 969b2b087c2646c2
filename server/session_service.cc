#include "server/session_service.h"

#include <optional>
#include <string>
#include <vector>

#include "core/base/status_macros.h"
#include "server/append_call.h"
#include "server/grpc_status.h"
#include "server/page_token.h"
#include "server/session_messages.h"
#include "server/snapshot_calls.h"
#include "server/wire_codec.h"

namespace attn {
grpc::ServerUnaryReactor* SessionService::AppendKv(
    grpc::CallbackServerContext* context, const grpc::ByteBuffer* request,
    grpc::ByteBuffer* response) {
  auto* call = new AppendCall(context_, *context, *response);
  call->Run(*request);
  return call;
}

grpc::ServerUnaryReactor* SessionService::CreateSession(
    grpc::CallbackServerContext* context,
    const v1::CreateSessionRequest* request, v1::Session* response) {
  return Answer(
      *context, RpcMethod::kCreateSession, /*changes=*/true,
      [&]() -> absl::Status {
        ATTN_ASSIGN_OR_RETURN(const KvSpec spec, ToKvSpec(request->spec()));
        return Reply(context_.sessions.Create(request->session_id(), spec),
                     *response);
      });
}

grpc::ServerUnaryReactor* SessionService::ForkSession(
    grpc::CallbackServerContext* context, const v1::ForkSessionRequest* request,
    v1::Session* response) {
  return Answer(*context, RpcMethod::kForkSession, /*changes=*/true, [&] {
    std::optional<int64_t> length;
    if (request->has_length()) length = ToLength(request->length());
    return Reply(context_.sessions.Fork(request->source_session_id(),
                                        request->session_id(), length),
                 *response);
  });
}

grpc::ServerUnaryReactor* SessionService::TruncateSession(
    grpc::CallbackServerContext* context,
    const v1::TruncateSessionRequest* request, v1::Session* response) {
  return Answer(*context, RpcMethod::kTruncateSession, /*changes=*/true,
                [&]() -> absl::Status {
                  ATTN_ASSIGN_OR_RETURN(
                      const SessionPtr session,
                      context_.sessions.Use(request->session_id()));
                  std::optional<int64_t> layer;
                  if (request->has_layer()) layer = request->layer();
                  ATTN_RETURN_IF_ERROR(
                      session->Truncate(ToLength(request->length()), layer));
                  return Reply(session, *response);
                });
}

grpc::ServerUnaryReactor* SessionService::GetSession(
    grpc::CallbackServerContext* context, const v1::GetSessionRequest* request,
    v1::Session* response) {
  return Answer(*context, RpcMethod::kGetSession, /*changes=*/false, [&] {
    return Reply(context_.sessions.Look(request->session_id()), *response);
  });
}

grpc::ServerUnaryReactor* SessionService::ListSessions(
    grpc::CallbackServerContext* context,
    const v1::ListSessionsRequest* request,
    v1::ListSessionsResponse* response) {
  return Answer(
      *context, RpcMethod::kListSessions, /*changes=*/false,
      [&]() -> absl::Status {
        ATTN_ASSIGN_OR_RETURN(const std::string after,
                              ParsePageToken(request->page_token()));
        const int64_t size = PageSize(request->page_size());
        // One more than asked for says whether there is another page.
        std::vector<SessionPtr> sessions =
            context_.sessions.List(after, size + 1);
        const bool has_more = static_cast<int64_t>(sessions.size()) > size;
        if (has_more) sessions.pop_back();
        const TimePoint now = context_.clock.Now();
        for (const SessionPtr& session : sessions) {
          *response->add_sessions() = ToWire(*session, now);
        }
        if (has_more) {
          response->set_next_page_token(MakePageToken(sessions.back()->id()));
        }
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* SessionService::DeleteSession(
    grpc::CallbackServerContext* context,
    const v1::DeleteSessionRequest* request, v1::DeleteSessionResponse*) {
  return Answer(*context, RpcMethod::kDeleteSession, /*changes=*/false, [&] {
    return context_.sessions.Delete(request->session_id());
  });
}

grpc::ServerWriteReactor<v1::SnapshotChunk>* SessionService::ExportSession(
    grpc::CallbackServerContext* context,
    const v1::ExportSessionRequest* request) {
  return new ExportCall(context_, *context, *request);
}

grpc::ServerReadReactor<v1::ImportSessionRequest>*
SessionService::ImportSession(grpc::CallbackServerContext* context,
                              v1::Session* response) {
  return new ImportCall(context_, *context, *response);
}

grpc::ServerUnaryReactor* SessionService::Answer(
    grpc::CallbackServerContext& context, RpcMethod method, bool changes,
    const std::function<absl::Status()>& call) {
  RpcRecorder recorder(context_.metrics, method, context_.clock);
  absl::Status status =
      changes ? context_.engine.CheckServing() : absl::OkStatus();
  if (status.ok()) status = call();
  if (!status.ok()) RecordRefusal(context_, status);
  recorder.Finish(static_cast<int>(status.code()));
  grpc::ServerUnaryReactor* reactor = context.DefaultReactor();
  reactor->Finish(ToGrpcStatus(status));
  return reactor;
}

absl::Status SessionService::Reply(const absl::StatusOr<SessionPtr>& made,
                                   v1::Session& response) {
  if (!made.ok()) return made.status();
  response = ToWire(**made, context_.clock.Now());
  return absl::OkStatus();
}

}  // namespace attn
