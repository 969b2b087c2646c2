#include "server/session_service.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/base/status_macros.h"
#include "server/append_call.h"
#include "server/direct_answer.h"
#include "server/page_token.h"
#include "server/session_messages.h"
#include "server/snapshot_calls.h"
#include "server/wire_codec.h"

namespace attn {
namespace {

using Unary = grpc::ServerUnaryReactor;
using ExportReactor = grpc::ServerWriteReactor<v1::SnapshotChunk>;
using ImportReactor = grpc::ServerReadReactor<v1::ImportSessionRequest>;

// `made` as the reply, or its error.
absl::Status AnswerWith(const AttendContext& server,
                        const absl::StatusOr<SessionPtr>& made,
                        v1::Session& response) {
  if (!made.ok()) return made.status();
  response = ToWire(**made, server.clock.Now());
  return absl::OkStatus();
}

}  // namespace

Unary* SessionService::AppendKv(grpc::CallbackServerContext* context,
                                const grpc::ByteBuffer* request,
                                grpc::ByteBuffer* response) {
  return gate_.Enter<Unary>(RpcMethod::kAppendKv, *context,
                            [&](const AttendContext& server, Tenant& tenant) {
                              auto* call = new AppendCall(server, tenant,
                                                          *context, *response);
                              call->Run(*request);
                              return call;
                            });
}

Unary* SessionService::CreateSession(grpc::CallbackServerContext* context,
                                     const v1::CreateSessionRequest* request,
                                     v1::Session* response) {
  return Answer(
      *context, RpcMethod::kCreateSession, /*changes=*/true,
      [&](const AttendContext& server, Tenant& tenant) -> absl::Status {
        ATTN_ASSIGN_OR_RETURN(const KvSpec spec, ToKvSpec(request->spec()));
        return AnswerWith(
            server, server.sessions.Create(tenant, request->session_id(), spec),
            *response);
      });
}

Unary* SessionService::ForkSession(grpc::CallbackServerContext* context,
                                   const v1::ForkSessionRequest* request,
                                   v1::Session* response) {
  return Answer(*context, RpcMethod::kForkSession, /*changes=*/true,
                [&](const AttendContext& server, Tenant& tenant) {
                  std::optional<int64_t> length;
                  if (request->has_length()) {
                    length = ToLength(request->length());
                  }
                  return AnswerWith(
                      server,
                      server.sessions.Fork(tenant, request->source_session_id(),
                                           request->session_id(), length),
                      *response);
                });
}

Unary* SessionService::TruncateSession(
    grpc::CallbackServerContext* context,
    const v1::TruncateSessionRequest* request, v1::Session* response) {
  return Answer(
      *context, RpcMethod::kTruncateSession, /*changes=*/true,
      [&](const AttendContext& server, Tenant& tenant) -> absl::Status {
        ATTN_ASSIGN_OR_RETURN(
            const SessionPtr session,
            server.sessions.Use(tenant, request->session_id()));
        std::optional<int64_t> layer;
        if (request->has_layer()) layer = request->layer();
        ATTN_RETURN_IF_ERROR(
            session->Truncate(ToLength(request->length()), layer));
        return AnswerWith(server, session, *response);
      });
}

Unary* SessionService::GetSession(grpc::CallbackServerContext* context,
                                  const v1::GetSessionRequest* request,
                                  v1::Session* response) {
  return Answer(*context, RpcMethod::kGetSession, /*changes=*/false,
                [&](const AttendContext& server, Tenant& tenant) {
                  return AnswerWith(
                      server,
                      server.sessions.Look(tenant, request->session_id()),
                      *response);
                });
}

Unary* SessionService::ListSessions(grpc::CallbackServerContext* context,
                                    const v1::ListSessionsRequest* request,
                                    v1::ListSessionsResponse* response) {
  return Answer(
      *context, RpcMethod::kListSessions, /*changes=*/false,
      [&](const AttendContext& server, Tenant& tenant) -> absl::Status {
        ATTN_ASSIGN_OR_RETURN(const std::string after,
                              ParsePageToken(request->page_token()));
        const int64_t size = PageSize(request->page_size());
        // One more than asked for says whether there is another page.
        std::vector<SessionPtr> sessions =
            server.sessions.List(tenant, after, size + 1);
        const bool has_more = static_cast<int64_t>(sessions.size()) > size;
        if (has_more) sessions.pop_back();
        const TimePoint now = server.clock.Now();
        for (const SessionPtr& session : sessions) {
          *response->add_sessions() = ToWire(*session, now);
        }
        if (has_more) {
          response->set_next_page_token(MakePageToken(sessions.back()->id()));
        }
        return absl::OkStatus();
      });
}

Unary* SessionService::DeleteSession(grpc::CallbackServerContext* context,
                                     const v1::DeleteSessionRequest* request,
                                     v1::DeleteSessionResponse*) {
  return Answer(*context, RpcMethod::kDeleteSession, /*changes=*/false,
                [&](const AttendContext& server, Tenant& tenant) {
                  return server.sessions.Delete(tenant, request->session_id());
                });
}

ExportReactor* SessionService::ExportSession(
    grpc::CallbackServerContext* context,
    const v1::ExportSessionRequest* request) {
  return gate_.Enter<ExportReactor>(
      RpcMethod::kExportSession, *context,
      [&](const AttendContext& server, Tenant& tenant) {
        return new ExportCall(server, tenant, *context, *request);
      });
}

ImportReactor* SessionService::ImportSession(
    grpc::CallbackServerContext* context, v1::Session* response) {
  return gate_.Enter<ImportReactor>(
      RpcMethod::kImportSession, *context,
      [&](const AttendContext& server, Tenant& tenant) {
        return new ImportCall(server, tenant, *context, *response);
      });
}

Unary* SessionService::Answer(grpc::CallbackServerContext& context,
                              RpcMethod method, bool changes,
                              const Handler& handle) {
  return gate_.Enter<Unary>(
      method, context, [&](const AttendContext& server, Tenant& tenant) {
        return AnswerDirectly(server, method, context, [&] {
          const absl::Status serves =
              changes ? server.engine.CheckServing() : absl::OkStatus();
          return serves.ok() ? handle(server, tenant) : serves;
        });
      });
}

}  // namespace attn
