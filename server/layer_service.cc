#include "server/layer_service.h"

#include <string>
#include <vector>

#include "core/base/status_macros.h"
#include "server/direct_answer.h"
#include "server/forward_calls.h"
#include "server/layer_messages.h"
#include "server/load_layer_call.h"
#include "server/page_token.h"

namespace attn {
namespace {

absl::Status List(const LayerStore& layers,
                  const v1::ListLayersRequest& request,
                  v1::ListLayersResponse& response) {
  ATTN_ASSIGN_OR_RETURN(const std::string after,
                        ParsePageToken(request.page_token()));
  const int64_t size = PageSize(request.page_size());
  // One more than asked for says whether there is another page.
  std::vector<AttentionLayerPtr> page = layers.List(after, size + 1);
  const bool has_more = static_cast<int64_t>(page.size()) > size;
  if (has_more) page.pop_back();
  for (const AttentionLayerPtr& layer : page) {
    *response.add_layers() = ToWire(*layer);
  }
  if (has_more) {
    response.set_next_page_token(MakePageToken(page.back()->name));
  }
  return absl::OkStatus();
}

}  // namespace

LayerService::Reactor* LayerService::ListLayers(
    Call* call, const v1::ListLayersRequest* request,
    v1::ListLayersResponse* response) {
  return gate_.Enter<Reactor>(
      RpcMethod::kListLayers, *call, [&](const LayerContext& context, Tenant&) {
        return AnswerDirectly(
            context.attend, RpcMethod::kListLayers, *call,
            [&] { return List(context.layers, *request, *response); });
      });
}

LayerService::Reactor* LayerService::GetLayer(
    Call* call, const v1::GetLayerRequest* request, v1::Layer* response) {
  const auto get = [&](const LayerStore& layers) -> absl::Status {
    ATTN_ASSIGN_OR_RETURN(const AttentionLayerPtr layer,
                          layers.Find(request->name()));
    *response = ToWire(*layer);
    return absl::OkStatus();
  };
  return gate_.Enter<Reactor>(
      RpcMethod::kGetLayer, *call, [&](const LayerContext& context, Tenant&) {
        return AnswerDirectly(context.attend, RpcMethod::kGetLayer, *call,
                              [&] { return get(context.layers); });
      });
}

LayerService::Reactor* LayerService::Forward(Call* call,
                                             const grpc::ByteBuffer* request,
                                             grpc::ByteBuffer* response) {
  return gate_.Enter<Reactor>(RpcMethod::kForward, *call,
                              [&](const LayerContext& context, Tenant& tenant) {
                                auto* reactor = new ForwardCall(
                                    context, tenant, *call, *response);
                                reactor->Run(*request);
                                return reactor;
                              });
}

LayerService::Reactor* LayerService::ForwardBatch(
    Call* call, const grpc::ByteBuffer* request, grpc::ByteBuffer* response) {
  return gate_.Enter<Reactor>(RpcMethod::kForwardBatch, *call,
                              [&](const LayerContext& context, Tenant& tenant) {
                                auto* reactor = new ForwardBatchCall(
                                    context, tenant, *call, *response);
                                reactor->Run(*request);
                                return reactor;
                              });
}

LayerService::Reactor* LayerService::LoadLayer(
    Call* call, const v1::LoadLayerRequest* request, v1::Layer* response) {
  return gate_.Enter<Reactor>(
      RpcMethod::kLoadLayer, *call, [&](const LayerContext& context, Tenant&) {
        return new LoadLayerCall(context, *call, *request, *response);
      });
}

LayerService::Reactor* LayerService::UnloadLayer(
    Call* call, const v1::UnloadLayerRequest* request,
    v1::UnloadLayerResponse*) {
  const auto unload = [&](const LayerContext& context) -> absl::Status {
    ATTN_RETURN_IF_ERROR(CheckLoading(context));
    ATTN_RETURN_IF_ERROR(context.layers.Unload(request->name()));
    context.attend.log.Info("layer unloaded", {{"layer", request->name()}});
    return absl::OkStatus();
  };
  return gate_.Enter<Reactor>(RpcMethod::kUnloadLayer, *call,
                              [&](const LayerContext& context, Tenant&) {
                                return AnswerDirectly(
                                    context.attend, RpcMethod::kUnloadLayer,
                                    *call, [&] { return unload(context); });
                              });
}

}  // namespace attn
