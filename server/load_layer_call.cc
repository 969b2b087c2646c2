#include "server/load_layer_call.h"

#include "core/base/status_macros.h"
#include "grpcpp/server_context.h"
#include "server/grpc_status.h"
#include "server/layer_loading.h"
#include "server/layer_messages.h"

namespace attn {

LoadLayerCall::LoadLayerCall(const LayerContext& context,
                             grpc::CallbackServerContext& call,
                             const v1::LoadLayerRequest& request,
                             v1::Layer& response)
    : context_(context),
      call_(call),
      response_(response),
      recorder_(context.attend.metrics, RpcMethod::kLoadLayer,
                context.attend.clock),
      trace_(context.attend, RpcMethod::kLoadLayer, call) {
  // `this` may be gone once it is posted: the load can be faster.
  if (const absl::Status status = Post(request); !status.ok()) {
    FinishWith(status);
  }
}

absl::Status LoadLayerCall::Post(const v1::LoadLayerRequest& request) {
  ATTN_RETURN_IF_ERROR(CheckLoading(context_));
  ATTN_ASSIGN_OR_RETURN(const WeightFormat format,
                        ToWeightFormat(request.weights()));
  return context_.loading->Post([this, name = request.name(), format] {
    FinishWith(Load(name, format));
  });
}

// What waited for others' loads may not be wanted any more.
absl::Status LoadLayerCall::Load(const std::string& name, WeightFormat format) {
  if (call_.IsCancelled()) return absl::CancelledError("the client went away");
  ATTN_RETURN_IF_ERROR(context_.attend.engine.CheckServing());
  ATTN_ASSIGN_OR_RETURN(const AttentionLayerPtr layer,
                        LoadLayer(context_.layers, name, format,
                                  context_.attend.log, context_.attend.clock));
  response_ = ToWire(*layer);
  return absl::OkStatus();
}

void LoadLayerCall::FinishWith(const absl::Status& status) {
  if (!status.ok() && !absl::IsCancelled(status)) {
    RecordRefusal(context_.attend, status, trace_.trace_id());
  }
  if (const auto pushback = RetryPushback(status)) {
    call_.AddTrailingMetadata("grpc-retry-pushback-ms", *pushback);
  }
  recorder_.Finish(static_cast<int>(status.code()));
  trace_.End(static_cast<int>(status.code()));
  Finish(ToGrpcStatus(status));
}

}  // namespace attn
