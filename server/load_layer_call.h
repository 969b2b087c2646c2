// The reactor of LoadLayer: seconds of reading and packing, on a thread of
// their own. Owns itself until gRPC's OnDone.
#pragma once

#include <string>

#include "attn/v1/layer.pb.h"
#include "grpcpp/support/server_callback.h"
#include "server/call_trace.h"
#include "server/layer_context.h"
#include "server/rpc_recorder.h"

namespace attn {

class LoadLayerCall final : public grpc::ServerUnaryReactor {
 public:
  // Borrows context, call and response. Starts at once.
  LoadLayerCall(const LayerContext& context, grpc::CallbackServerContext& call,
                const v1::LoadLayerRequest& request, v1::Layer& response);

  void OnDone() override { delete this; }

 private:
  absl::Status Post(const v1::LoadLayerRequest& request);
  absl::Status Load(const std::string& name, WeightFormat format);
  void FinishWith(const absl::Status& status);

  const LayerContext& context_;
  grpc::CallbackServerContext& call_;
  v1::Layer& response_;
  RpcRecorder recorder_;
  CallTrace trace_;
};

}  // namespace attn
