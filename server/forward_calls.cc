#include "server/forward_calls.h"

#include <utility>

#include "server/byte_buffer.h"

namespace attn {

ForwardCall::ForwardCall(const LayerContext& context, Tenant& tenant,
                         grpc::CallbackServerContext& call,
                         grpc::ByteBuffer& response)
    : UnaryCall(context.attend, RpcMethod::kForward, tenant, call),
      layers_(context.layers),
      response_(response),
      flow_(std::make_shared<RequestFlow>(context.attend, arrival())) {}

void ForwardCall::Run(const grpc::ByteBuffer& request) {
  ReceivedMessage message(request);
  if (const absl::Status status = CheckArrival(message.bytes().size());
      !status.ok()) {
    return RefuseWith(status);
  }
  RunForward(*flow_, layers_, message.bytes(), message.bytes().whole(),
             [this](const ForwardOutcome& outcome) { Reply(outcome); });
}

void ForwardCall::Reply(const ForwardOutcome& outcome) {
  trace_.Observe(outcome.times());
  if (!outcome.status.ok()) return FinishWith(outcome.status);
  FinishWith(EncodeResponse(outcome), response_);
}

ForwardBatchCall::ForwardBatchCall(const LayerContext& context, Tenant& tenant,
                                   grpc::CallbackServerContext& call,
                                   grpc::ByteBuffer& response)
    : BatchCall(context.attend, RpcMethod::kForwardBatch, tenant, call,
                response),
      layers_(context.layers) {}

void ForwardBatchCall::Start(FragmentedBytes& bytes,
                             const std::vector<ByteRange>& ranges) {
  ForwardLanes lanes;
  for (size_t i = 0; i < ranges.size(); ++i) {
    RunForward(*flows()[i], layers_, bytes, ranges[i], StoreAt(i), &lanes);
  }
  lanes.Submit();
}

}  // namespace attn
