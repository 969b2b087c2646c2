// attn.v1.LayerService. Forward and ForwardBatch are registered raw, as all
// methods that carry tensors are (forward_calls.h); LoadLayer has a reactor of
// its own (load_layer_call.h); the others ask the store.
#pragma once

#include "attn/v1/layer.grpc.pb.h"
#include "server/access/gate.h"
#include "server/layer_context.h"
#include "server/service_with.h"

namespace attn {

using LayerServiceBase =
    ServiceWith<v1::LayerService::Service,
                v1::LayerService::WithRawCallbackMethod_Forward,
                v1::LayerService::WithRawCallbackMethod_ForwardBatch,
                v1::LayerService::WithCallbackMethod_ListLayers,
                v1::LayerService::WithCallbackMethod_GetLayer,
                v1::LayerService::WithCallbackMethod_LoadLayer,
                v1::LayerService::WithCallbackMethod_UnloadLayer>::Type;

// Thread-safe. Must outlive the grpc::Server that it is registered with.
class LayerService final : public LayerServiceBase {
 public:
  using Call = grpc::CallbackServerContext;
  using Reactor = grpc::ServerUnaryReactor;

  explicit LayerService(const Gate<LayerContext>& gate) : gate_(gate) {}

  Reactor* ListLayers(Call* call, const v1::ListLayersRequest* request,
                      v1::ListLayersResponse* response) override;
  Reactor* GetLayer(Call* call, const v1::GetLayerRequest* request,
                    v1::Layer* response) override;
  Reactor* Forward(Call* call, const grpc::ByteBuffer* request,
                   grpc::ByteBuffer* response) override;
  Reactor* ForwardBatch(Call* call, const grpc::ByteBuffer* request,
                        grpc::ByteBuffer* response) override;
  Reactor* LoadLayer(Call* call, const v1::LoadLayerRequest* request,
                     v1::Layer* response) override;
  Reactor* UnloadLayer(Call* call, const v1::UnloadLayerRequest* request,
                       v1::UnloadLayerResponse* response) override;

 private:
  const Gate<LayerContext> gate_;
};

}  // namespace attn
