#include "server/attention_service.h"

#include "server/stream_call.h"
#include "server/unary_calls.h"

namespace attn {

AttentionService::AttentionService(const AttendContext& context)
    : context_(context) {}

grpc::ServerUnaryReactor* AttentionService::Attend(
    grpc::CallbackServerContext* context, const grpc::ByteBuffer* request,
    grpc::ByteBuffer* response) {
  auto* call = new AttendCall(context_, *context, *response);
  call->Run(*request);
  return call;
}

grpc::ServerUnaryReactor* AttentionService::AttendBatch(
    grpc::CallbackServerContext* context, const grpc::ByteBuffer* request,
    grpc::ByteBuffer* response) {
  auto* call = new AttendBatchCall(context_, *context, *response);
  call->Run(*request);
  return call;
}

grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>*
AttentionService::AttendStream(grpc::CallbackServerContext* context) {
  return new AttendStreamCall(context_, *context);
}

}  // namespace attn
