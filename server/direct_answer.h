// The way of a call that is answered at once, on gRPC's thread, from generated
// messages: all but those that carry tensors or take their time.
#pragma once

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "grpcpp/support/server_callback.h"
#include "server/request_flow.h"
#include "server/rpc_method.h"

namespace attn {

// Runs `answer` and ends the call with what it says: counted, traced and, when
// refused, logged.
grpc::ServerUnaryReactor* AnswerDirectly(
    const AttendContext& server, RpcMethod method,
    grpc::CallbackServerContext& call,
    absl::FunctionRef<absl::Status()> answer);

}  // namespace attn
