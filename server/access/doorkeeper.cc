#include "server/access/doorkeeper.h"

#include "server/access/call_credentials.h"
#include "server/rpc_recorder.h"

namespace attn {

absl::StatusOr<Tenant*> Doorkeeper::TenantOf(
    const grpc::CallbackServerContext& call) const {
  const absl::StatusOr<Caller> caller =
      access_.Admit(CredentialsOf(call), Role::kClient);
  if (caller.ok()) return tenants_.Find(caller->tenant);
  books_.metrics.AccessDenied(AccessPoint::kGrpc,
                              static_cast<int>(caller.status().code()));
  return caller.status();
}

absl::StatusOr<Tenant*> Doorkeeper::Admit(
    RpcMethod method, const grpc::CallbackServerContext& call) const {
  absl::StatusOr<Tenant*> tenant = TenantOf(call);
  if (tenant.ok()) return tenant;
  RpcRecorder recorder(books_.metrics, method, books_.clock);
  recorder.Finish(static_cast<int>(tenant.status().code()));
  const auto message = tenant.status().message();
  books_.failure_log.Report(absl::StatusCodeToString(tenant.status().code()),
                            {message.data(), message.size()});
  return tenant;
}

}  // namespace attn
