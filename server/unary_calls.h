// The reactors of Attend and AttendBatch. Each owns itself from the handler's
// return until gRPC's OnDone.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "core/tenant/tenant.h"
#include "grpcpp/support/server_callback.h"
#include "server/attend_flow.h"
#include "server/call_trace.h"
#include "server/rpc_recorder.h"

namespace attn {

// The part that every tensor-carrying call shares: its message, its deadline,
// its status.
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
  AttendFlow::Arrival arrival() const;
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

// One request, one response.
class AttendCall final : public UnaryCall {
 public:
  AttendCall(const AttendContext& context, Tenant& tenant,
             grpc::CallbackServerContext& call, grpc::ByteBuffer& response);

  void Run(const grpc::ByteBuffer& request);
  void OnCancel() override { flow_->Cancel(); }

 private:
  void Reply(const AttendOutcome& outcome);

  grpc::ByteBuffer& response_;
  // Shared with the engine's callback.
  const std::shared_ptr<AttendFlow> flow_;
};

// Many requests in one message; each ends for itself, the call when all have.
class AttendBatchCall final : public UnaryCall {
 public:
  AttendBatchCall(const AttendContext& context, Tenant& tenant,
                  grpc::CallbackServerContext& call,
                  grpc::ByteBuffer& response);

  void Run(const grpc::ByteBuffer& request);
  void OnCancel() override;

 private:
  void Store(size_t index, AttendOutcome outcome);
  void CountDown();

  grpc::ByteBuffer& response_;
  // Constant once Run began to start them; shared as above.
  std::vector<std::shared_ptr<AttendFlow>> flows_;
  std::vector<AttendOutcome> outcomes_;
  // Requests that are not done, and one for Run itself.
  std::atomic<size_t> left_{1};
};

// When the call must be answered, on the monotonic clock.
TimePoint DeadlineOf(const grpc::CallbackServerContext& call,
                     const Clock& clock);

}  // namespace attn
