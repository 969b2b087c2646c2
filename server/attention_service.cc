#include "server/attention_service.h"

#include <utility>

#include "server/attend_calls.h"
#include "server/stream_call.h"

namespace attn {
namespace {

using Stream = grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>;

}  // namespace

grpc::ServerUnaryReactor* AttentionService::Attend(
    grpc::CallbackServerContext* context, const grpc::ByteBuffer* request,
    grpc::ByteBuffer* response) {
  return gate_.Enter<grpc::ServerUnaryReactor>(
      RpcMethod::kAttend, *context,
      [&](const AttendContext& server, Tenant& tenant) {
        auto* call = new AttendCall(server, tenant, *context, *response);
        call->Run(*request);
        return call;
      });
}

grpc::ServerUnaryReactor* AttentionService::AttendBatch(
    grpc::CallbackServerContext* context, const grpc::ByteBuffer* request,
    grpc::ByteBuffer* response) {
  return gate_.Enter<grpc::ServerUnaryReactor>(
      RpcMethod::kAttendBatch, *context,
      [&](const AttendContext& server, Tenant& tenant) {
        auto* call = new AttendBatchCall(server, tenant, *context, *response);
        call->Run(*request);
        return call;
      });
}

Stream* AttentionService::AttendStream(grpc::CallbackServerContext* context) {
  return gate_.Enter<Stream>(RpcMethod::kAttendStream, *context,
                             [&](const AttendContext& server, Tenant& tenant) {
                               return new AttendStreamCall(server, tenant,
                                                           *context);
                             });
}

}  // namespace attn
