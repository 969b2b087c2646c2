#include "server/access/doorkeeper.h"

#include "server/access/call_credentials.h"
#include "server/rpc_recorder.h"

namespace attn {

absl::StatusOr<Caller> Doorkeeper::Admit(
    RpcMethod method, const grpc::CallbackServerContext& call) const {
  absl::StatusOr<Caller> caller =
      access_.Admit(CredentialsOf(call), Role::kClient);
  if (caller.ok()) return caller;
  RpcRecorder recorder(books_.metrics, method, books_.clock);
  recorder.Finish(static_cast<int>(caller.status().code()));
  const auto message = caller.status().message();
  books_.failure_log.Report(absl::StatusCodeToString(caller.status().code()),
                            {message.data(), message.size()});
  return caller;
}

}  // namespace attn
