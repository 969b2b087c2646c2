#include "server/prometheus_rpc_series.h"

#include "server/prometheus_families.h"

namespace attn {
namespace {

std::vector<double> MessageBounds() {
  return ExponentialBounds(/*first=*/256, /*factor=*/4, /*count=*/12);
}

}  // namespace

RpcSeries AddRpcSeries(prometheus::Registry& registry, RpcMethod method) {
  const RpcMethodFacts& facts = FactsOf(method);
  const prometheus::Labels labels{{"grpc_type", std::string(facts.type)},
                                  {"grpc_service", std::string(facts.service)},
                                  {"grpc_method", std::string(facts.method)}};
  RpcSeries series;
  series.started = AddCounter(
      registry, {"grpc_server_started_total", "Calls that reached the server."},
      labels);
  for (int code = 0; code < kNumGrpcCodes; ++code) {
    prometheus::Labels with_code = labels;
    with_code["grpc_code"] = GrpcCodeName(code);
    series.handled[static_cast<size_t>(code)] = AddCounter(
        registry, {"grpc_server_handled_total", "Calls that ended, by status."},
        with_code);
  }
  series.handling_seconds =
      AddHistogram(registry,
                   {"grpc_server_handling_seconds",
                    "Time from a call's start to its status."},
                   TimeBounds(), labels);
  return series;
}

TransferSeries AddTransferSeries(prometheus::Registry& registry) {
  TransferSeries series;
  series.request_bytes = AddHistogram(
      registry,
      {"attn_request_bytes", "Request bytes of a call that carries tensors."},
      MessageBounds());
  series.response_bytes = AddHistogram(
      registry,
      {"attn_response_bytes", "Response bytes of a call that carries tensors."},
      MessageBounds());
  series.receive_seconds =
      AddHistogram(registry,
                   {"attn_receive_seconds",
                    "Time to decode a request and copy its tensors in."},
                   TimeBounds());
  series.send_seconds = AddHistogram(
      registry,
      {"attn_send_seconds", "Time to encode a response and hand it to gRPC."},
      TimeBounds());
  return series;
}

}  // namespace attn
