// The calls of attn.v1.LayerService: the third part of client.h.
#include <utility>

#include "client/cpp/all_pages.h"
#include "client/cpp/client.h"
#include "client/cpp/layer_codec.h"
#include "client/cpp/request_call.h"
#include "client/cpp/response_codec.h"
#include "client/cpp/unary_call.h"

namespace attn::client {
namespace {

namespace pb = attn::v1;

constexpr char kForward[] = "/attn.v1.LayerService/Forward";
constexpr char kForwardBatch[] = "/attn.v1.LayerService/ForwardBatch";
constexpr char kList[] = "/attn.v1.LayerService/ListLayers";
constexpr char kGet[] = "/attn.v1.LayerService/GetLayer";
constexpr char kLoad[] = "/attn.v1.LayerService/LoadLayer";
constexpr char kUnload[] = "/attn.v1.LayerService/UnloadLayer";

}  // namespace

absl::StatusOr<ForwardResponse> Client::Forward(const ForwardRequest& request,
                                                const CallOptions& options) {
  return Await<ForwardResponse>([&](ForwardCallback callback) {
    ForwardAsync(request, std::move(callback), options);
  });
}

CallHandle Client::ForwardAsync(const ForwardRequest& request,
                                ForwardCallback callback,
                                const CallOptions& options) {
  return StartCall(
      *transport_,
      RequestCall(kForward, request, Resolve(options, default_deadline_)),
      DecodeResponse<pb::ForwardResponse>, std::move(callback));
}

absl::StatusOr<std::vector<ForwardResult>> Client::ForwardBatch(
    absl::Span<const ForwardRequest> requests, const CallOptions& options) {
  return Await<std::vector<ForwardResult>>([&](BatchCallback callback) {
    ForwardBatchAsync(requests, std::move(callback), options);
  });
}

CallHandle Client::ForwardBatchAsync(absl::Span<const ForwardRequest> requests,
                                     BatchCallback callback,
                                     const CallOptions& options) {
  return StartCall(
      *transport_,
      BatchCall(kForwardBatch, requests, Resolve(options, default_deadline_)),
      DecodeResults<pb::ForwardBatchResponse>, std::move(callback));
}

absl::StatusOr<LayerPage> Client::ListLayers(uint32_t page_size,
                                             const std::string& page_token,
                                             const CallOptions& options) {
  return BlockingCall(
      *transport_,
      PageCall<pb::ListLayersRequest>(kList, page_size, page_token,
                                      Resolve(options, default_deadline_)),
      DecodeLayerPage);
}

absl::StatusOr<std::vector<Layer>> Client::ListAllLayers(
    const CallOptions& options) {
  return AllPages(
      [&](const std::string& token) { return ListLayers(0, token, options); },
      &LayerPage::layers);
}

absl::StatusOr<Layer> Client::GetLayer(const std::string& name,
                                       const CallOptions& options) {
  pb::GetLayerRequest message;
  message.set_name(name);
  return BlockingCall(
      *transport_,
      SmallCall(kGet, message, Resolve(options, default_deadline_)),
      DecodeLayer);
}

absl::StatusOr<Layer> Client::LoadLayer(const std::string& name,
                                        WeightFormat weights,
                                        const CallOptions& options) {
  pb::LoadLayerRequest message;
  message.set_name(name);
  message.set_weights(static_cast<pb::WeightFormat>(weights));
  return BlockingCall(
      *transport_,
      SmallCall(kLoad, message, Resolve(options, default_deadline_)),
      DecodeLayer);
}

absl::Status Client::UnloadLayer(const std::string& name,
                                 const CallOptions& options) {
  pb::UnloadLayerRequest message;
  message.set_name(name);
  return BlockingCall<pb::UnloadLayerResponse>(
      *transport_,
      SmallCall(kUnload, message, Resolve(options, default_deadline_)));
}

}  // namespace attn::client
