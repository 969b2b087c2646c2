#include "server/attend_calls.h"

#include <utility>

#include "server/byte_buffer.h"

namespace attn {

AttendCall::AttendCall(const AttendContext& context, Tenant& tenant,
                       grpc::CallbackServerContext& call,
                       grpc::ByteBuffer& response)
    : UnaryCall(context, RpcMethod::kAttend, tenant, call),
      response_(response),
      flow_(std::make_shared<RequestFlow>(context, arrival())) {}

void AttendCall::Run(const grpc::ByteBuffer& request) {
  ReceivedMessage message(request);
  if (const absl::Status status = CheckArrival(message.bytes().size());
      !status.ok()) {
    return RefuseWith(status);
  }
  RunAttend(*flow_, message.bytes(), message.bytes().whole(),
            [this](const AttendOutcome& outcome) { Reply(outcome); });
}

void AttendCall::Reply(const AttendOutcome& outcome) {
  trace_.Observe(outcome.times());
  if (!outcome.status.ok()) return FinishWith(outcome.status);
  FinishWith(EncodeResponse(outcome), response_);
}

AttendBatchCall::AttendBatchCall(const AttendContext& context, Tenant& tenant,
                                 grpc::CallbackServerContext& call,
                                 grpc::ByteBuffer& response)
    : BatchCall(context, RpcMethod::kAttendBatch, tenant, call, response) {}

void AttendBatchCall::Start(FragmentedBytes& bytes,
                            const std::vector<ByteRange>& ranges) {
  Together together;
  for (size_t i = 0; i < ranges.size(); ++i) {
    RunAttend(*flows()[i], bytes, ranges[i], StoreAt(i), &together);
  }
  context_.engine.SubmitTogether(std::move(together));
}

}  // namespace attn
