// attn.v1.AttentionService. Its methods are registered raw: requests arrive as
// bytes and go through server/wire_codec.h. A handler decodes, calls, encodes;
// each call is a reactor of its own (attend_calls.h, stream_call.h).
#pragma once

#include "attn/v1/attention.grpc.pb.h"
#include "server/access/gate.h"
#include "server/request_flow.h"

namespace attn {

// Thread-safe. Must outlive the grpc::Server that it is registered with.
class AttentionService final
    : public v1::AttentionService::WithRawCallbackMethod_Attend<
          v1::AttentionService::WithRawCallbackMethod_AttendBatch<
              v1::AttentionService::WithRawCallbackMethod_AttendStream<
                  v1::AttentionService::Service>>> {
 public:
  explicit AttentionService(const Gate<AttendContext>& gate) : gate_(gate) {}

  grpc::ServerUnaryReactor* Attend(grpc::CallbackServerContext* context,
                                   const grpc::ByteBuffer* request,
                                   grpc::ByteBuffer* response) override;
  grpc::ServerUnaryReactor* AttendBatch(grpc::CallbackServerContext* context,
                                        const grpc::ByteBuffer* request,
                                        grpc::ByteBuffer* response) override;
  grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* AttendStream(
      grpc::CallbackServerContext* context) override;

 private:
  const Gate<AttendContext> gate_;
};

}  // namespace attn
