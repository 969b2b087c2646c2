// Counts one RPC from its first byte to its status. Each handler owns one; what
// it forgets, the destructor makes good, so that started and handled agree once
// the server is idle. Knows no gRPC: status codes come as numbers.
#pragma once

#include <cstdint>

#include "core/base/clock.h"
#include "server/prometheus_metrics.h"
#include "server/rpc_method.h"

namespace attn {

// Thread-compatible: the RPC's reactions must not call it at the same time.
class RpcRecorder {
 public:
  // Counts the call as started. Borrows both, which must outlive it.
  RpcRecorder(PrometheusMetrics& metrics, RpcMethod method, const Clock& clock);
  // Finishes with Unknown if nobody did.
  ~RpcRecorder();
  RpcRecorder(const RpcRecorder&) = delete;
  RpcRecorder& operator=(const RpcRecorder&) = delete;

  // Bytes of one message. A call's messages are summed up and observed once,
  // by Finish, if the method carries tensors: so the histograms count calls.
  void AddRequestBytes(int64_t bytes) { facts_.request_bytes += bytes; }
  void AddResponseBytes(int64_t bytes) { facts_.response_bytes += bytes; }

  // Time to encode a response message.
  void ObserveSend(Duration duration);

  // Counts the call as handled with this gRPC status code; only the first call
  // has an effect.
  void Finish(int grpc_code);

 private:
  PrometheusMetrics& metrics_;
  const Clock& clock_;
  const RpcMethod method_;
  const TimePoint start_;

  RpcFacts facts_;
  bool finished_ = false;
};

}  // namespace attn
