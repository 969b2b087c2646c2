// The reactors of Attend and AttendBatch.
#pragma once

#include <memory>
#include <vector>

#include "server/attend_flow.h"
#include "server/batch_call.h"
#include "server/unary_call.h"

namespace attn {

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
  const std::shared_ptr<RequestFlow> flow_;
};

class AttendBatchCall final : public BatchCall<AttendOutcome> {
 public:
  AttendBatchCall(const AttendContext& context, Tenant& tenant,
                  grpc::CallbackServerContext& call,
                  grpc::ByteBuffer& response);

 private:
  void Start(FragmentedBytes& bytes,
             const std::vector<ByteRange>& ranges) override;
};

}  // namespace attn
