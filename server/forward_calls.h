// The reactors of Forward and ForwardBatch.
#pragma once

#include <memory>
#include <vector>

#include "server/batch_call.h"
#include "server/forward_flow.h"
#include "server/unary_call.h"

namespace attn {

// One request, one response.
class ForwardCall final : public UnaryCall {
 public:
  ForwardCall(const LayerContext& context, Tenant& tenant,
              grpc::CallbackServerContext& call, grpc::ByteBuffer& response);

  void Run(const grpc::ByteBuffer& request);
  void OnCancel() override { flow_->Cancel(); }

 private:
  void Reply(const ForwardOutcome& outcome);

  LayerStore& layers_;
  grpc::ByteBuffer& response_;
  // Shared with the engine's callback.
  const std::shared_ptr<RequestFlow> flow_;
};

class ForwardBatchCall final : public BatchCall<ForwardOutcome> {
 public:
  ForwardBatchCall(const LayerContext& context, Tenant& tenant,
                   grpc::CallbackServerContext& call,
                   grpc::ByteBuffer& response);

 private:
  void Start(FragmentedBytes& bytes,
             const std::vector<ByteRange>& ranges) override;

  LayerStore& layers_;
};

}  // namespace attn
