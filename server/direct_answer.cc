#include "server/direct_answer.h"

#include "grpcpp/server_context.h"
#include "server/call_trace.h"
#include "server/grpc_status.h"
#include "server/rpc_recorder.h"

namespace attn {

grpc::ServerUnaryReactor* AnswerDirectly(
    const AttendContext& server, RpcMethod method,
    grpc::CallbackServerContext& call,
    absl::FunctionRef<absl::Status()> answer) {
  RpcRecorder recorder(server.metrics, method, server.clock);
  CallTrace trace(server, method, call);
  const absl::Status status = answer();
  if (!status.ok()) RecordRefusal(server, status, trace.trace_id());
  recorder.Finish(static_cast<int>(status.code()));
  trace.End(static_cast<int>(status.code()));
  grpc::ServerUnaryReactor* reactor = call.DefaultReactor();
  reactor->Finish(ToGrpcStatus(status));
  return reactor;
}

}  // namespace attn
