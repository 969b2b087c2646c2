// The series of one RPC method (grpc_server_*), and those that all methods with
// tensors share (attn_request_bytes and so on). server/rpc_recorder.h counts
// into them by way of PrometheusMetrics.
#pragma once

#include <array>

#include "server/rpc_method.h"

namespace prometheus {
class Counter;
class Histogram;
class Registry;
}  // namespace prometheus

namespace attn {

// Handles owned by the registry.
struct RpcSeries {
  prometheus::Counter* started = nullptr;
  std::array<prometheus::Counter*, kNumGrpcCodes> handled{};
  prometheus::Histogram* handling_seconds = nullptr;
};

struct TransferSeries {
  prometheus::Histogram* request_bytes = nullptr;
  prometheus::Histogram* response_bytes = nullptr;
  prometheus::Histogram* receive_seconds = nullptr;
  prometheus::Histogram* send_seconds = nullptr;
};

RpcSeries AddRpcSeries(prometheus::Registry& registry, RpcMethod method);
TransferSeries AddTransferSeries(prometheus::Registry& registry);

}  // namespace attn
