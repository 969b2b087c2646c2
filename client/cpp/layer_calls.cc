// The calls of attn.v1.LayerService: the third part of client.h.
#include <algorithm>
#include <utility>

#include "client/cpp/all_pages.h"
#include "client/cpp/client.h"
#include "client/cpp/layer_codec.h"
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

std::vector<ForwardResult> DecodeResults(pb::ForwardBatchResponse& reply) {
  std::vector<ForwardResult> results;
  results.reserve(reply.results_size());
  for (pb::ForwardResult& result : *reply.mutable_results()) {
    results.push_back(DecodeForwardResult(result));
  }
  return results;
}

bool Unloaded(pb::UnloadLayerResponse& /*reply*/) { return true; }

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
  CallSettings settings = Resolve(options, default_deadline_);
  settings.may_retry = IsIdempotentForward(request);
  if (request.session.has_value()) {
    AddSessionKey(request.session->session_id, settings);
  }
  return StartCall(*transport_,
                   {kForward, EncodeForward(request), std::move(settings)},
                   DecodeForward, std::move(callback));
}

absl::StatusOr<std::vector<ForwardResult>> Client::ForwardBatch(
    absl::Span<const ForwardRequest> requests, const CallOptions& options) {
  CallSettings settings = Resolve(options, default_deadline_);
  settings.may_retry =
      std::all_of(requests.begin(), requests.end(), IsIdempotentForward);
  return BlockingCall(
      *transport_,
      {kForwardBatch, EncodeForwardBatch(requests), std::move(settings)},
      DecodeResults);
}

absl::StatusOr<LayerPage> Client::ListLayers(uint32_t page_size,
                                             const std::string& page_token,
                                             const CallOptions& options) {
  pb::ListLayersRequest message;
  message.set_page_size(page_size);
  message.set_page_token(page_token);
  return BlockingCall(
      *transport_,
      SmallCall(kList, message, Resolve(options, default_deadline_)),
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
  return BlockingCall(
             *transport_,
             SmallCall(kUnload, message, Resolve(options, default_deadline_)),
             Unloaded)
      .status();
}

}  // namespace attn::client
