#include "server/rpc_recorder.h"

namespace attn {

RpcRecorder::RpcRecorder(PrometheusMetrics& metrics, RpcMethod method,
                         const Clock& clock)
    : metrics_(metrics), clock_(clock), method_(method), start_(clock.Now()) {
  metrics_.RpcStarted(method_);
}

RpcRecorder::~RpcRecorder() { Finish(kUnknownGrpcCode); }

void RpcRecorder::ObserveSend(Duration duration) {
  metrics_.MessageSent(duration);
}

void RpcRecorder::Finish(int grpc_code) {
  if (finished_) return;
  finished_ = true;
  facts_.handling = clock_.Now() - start_;
  metrics_.RpcFinished(method_, grpc_code, facts_);
}

}  // namespace attn
