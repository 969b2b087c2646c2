// The reactor of SessionService.AppendKv.
#pragma once

#include "server/fragmented_bytes.h"
#include "server/unary_call.h"

namespace attn {

// One append; done when it returns, without the engine.
class AppendCall final : public UnaryCall {
 public:
  AppendCall(const AttendContext& context, Tenant& tenant,
             grpc::CallbackServerContext& call, grpc::ByteBuffer& response);

  void Run(const grpc::ByteBuffer& request);

 private:
  // The layer's length after it.
  absl::StatusOr<int64_t> Append(FragmentedBytes& bytes);

  grpc::ByteBuffer& response_;
};

}  // namespace attn
