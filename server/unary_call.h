// What the reactors of unary calls that carry tensors share: message, deadline,
// status. Each owns itself from the handler's return until gRPC's OnDone.
#pragma once

#include "core/tenant/tenant.h"
#include "grpcpp/support/server_callback.h"
#include "server/call_trace.h"
#include "server/reply.h"
#include "server/request_flow.h"
#include "server/rpc_recorder.h"

namespace attn {

class UnaryCall : public grpc::ServerUnaryReactor {
 public:
  UnaryCall(const AttendContext& context, RpcMethod method, Tenant& tenant,
            grpc::CallbackServerContext& call);

  void OnDone() override { delete this; }

 protected:
  // RESOURCE_EXHAUSTED for a message beyond --max-request-bytes. gRPC 1.51
  // hands over an empty message when the call ended before its own arrived:
  // that is DEADLINE_EXCEEDED or CANCELLED, not a request without tensors.
  absl::Status CheckArrival(int64_t bytes);
  RequestFlow::Arrival arrival() const;
  void FinishWith(const absl::Status& status);
  void FinishWith(Reply reply, grpc::ByteBuffer& response);
  // The same for a message that is refused as a whole, and books it.
  void RefuseWith(const absl::Status& status);

  const AttendContext& context_;
  Tenant& tenant_;
  grpc::CallbackServerContext& call_;
  const TimePoint received_;
  RpcRecorder recorder_;
  CallTrace trace_;
};

// When the call must be answered, on the monotonic clock.
TimePoint DeadlineOf(const grpc::CallbackServerContext& call,
                     const Clock& clock);

}  // namespace attn
