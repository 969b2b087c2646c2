// The reactor of ModelInfer: one request, one response. Owns itself until
// gRPC's OnDone.
#pragma once

#include <memory>

#include "server/inference/infer_flow.h"
#include "server/unary_call.h"

namespace attn {

class InferCall final : public UnaryCall {
 public:
  InferCall(const InferenceContext& context, Tenant& tenant,
            grpc::CallbackServerContext& call, grpc::ByteBuffer& response);

  void Run(const grpc::ByteBuffer& request);
  void OnCancel() override { flow_->Cancel(); }

 private:
  const InferenceContext& inference_;
  grpc::ByteBuffer& response_;
  // Shared with the engine's callback.
  const std::shared_ptr<RequestFlow> flow_;
};

}  // namespace attn
