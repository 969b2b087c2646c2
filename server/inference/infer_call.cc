#include "server/inference/infer_call.h"

#include <utility>

#include "server/byte_buffer.h"

namespace attn {

InferCall::InferCall(const InferenceContext& context, Tenant& tenant,
                     grpc::CallbackServerContext& call,
                     grpc::ByteBuffer& response)
    : UnaryCall(context.attend, RpcMethod::kModelInfer, tenant, call),
      inference_(context),
      response_(response),
      flow_(std::make_shared<RequestFlow>(context.attend, arrival())) {}

void InferCall::Run(const grpc::ByteBuffer& request) {
  ReceivedMessage message(request);
  if (const absl::Status status = CheckArrival(message.bytes().size());
      !status.ok()) {
    return RefuseWith(status);
  }
  // `this` may be gone once the flow runs: the reply can be faster.
  RunInfer(inference_, message.bytes(), received_, *flow_,
           [this](InferOutcome outcome) {
             trace_.Observe(outcome.times);
             if (!outcome.status.ok()) return FinishWith(outcome.status);
             FinishWith(std::move(outcome.response), response_);
           });
}

}  // namespace attn
