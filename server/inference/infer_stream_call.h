// The reactor of ModelStreamInfer: requests are computed as they come, those of
// a layer on one session one after another, and answered in their order, which
// clients of the protocol count on. Owns itself until gRPC's OnDone.
#pragma once

#include "server/inference/infer_flow.h"
#include "server/stream_call.h"

namespace attn {

class InferStreamCall final : public StreamCall {
 public:
  InferStreamCall(const InferenceContext& context, Tenant& tenant,
                  grpc::CallbackServerContext& call);

 private:
  void RunMessage(FragmentedBytes& bytes, uint64_t id,
                  RequestFlow& flow) override;
  void Conclude(uint64_t id, InferOutcome outcome);

  const InferenceContext& inference_;
  // The client's wish, `triton_grpc_error: true`: the first failure is the
  // stream's status.
  const bool ends_at_first_error_;
  ForwardLanes lanes_;
};

}  // namespace attn
