#include "server/inference/infer_stream_call.h"

#include <utility>

#include "grpcpp/server_context.h"
#include "server/inference/infer_response.h"

namespace attn {
namespace {

bool WantsStatus(const grpc::CallbackServerContext& call) {
  const auto& metadata = call.client_metadata();
  const auto found = metadata.find("triton_grpc_error");
  return found != metadata.end() && found->second == "true";
}

}  // namespace

InferStreamCall::InferStreamCall(const InferenceContext& context,
                                 Tenant& tenant,
                                 grpc::CallbackServerContext& call)
    : StreamCall(context.attend, RpcMethod::kModelStreamInfer, tenant, call),
      inference_(context),
      ends_at_first_error_(WantsStatus(call)) {
  StartReading();
}

void InferStreamCall::RunMessage(FragmentedBytes& bytes, uint64_t id,
                                 RequestFlow& flow) {
  KeepOrder(id, "stream");
  if (const absl::Status status = CheckSize(bytes); !status.ok()) {
    RecordRefusal(context_, status, trace_.trace_id());
    return Conclude(id, {.status = status,
                         .request_id = DecodeInfer(bytes).request.request_id});
  }
  RunInfer(
      inference_, bytes, context_.clock.Now(), flow,
      [this, id](InferOutcome outcome) {
        trace_.Observe(outcome.times);
        Conclude(id, std::move(outcome));
      },
      &lanes_);
  lanes_.Submit();
}

void InferStreamCall::Conclude(uint64_t id, InferOutcome outcome) {
  if (outcome.status.ok()) {
    return Store(id, EncodeStreamInferResponse(std::move(outcome.response)));
  }
  if (ends_at_first_error_) return End(id, outcome.status);
  Store(id, EncodeStreamInferError(outcome));
}

}  // namespace attn
