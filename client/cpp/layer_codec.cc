#include "client/cpp/layer_codec.h"

#include <utility>

#include "client/cpp/field_codec.h"

namespace attn::client {
namespace {

namespace pb = attn::v1;

// Everything but the tensors.
pb::ForwardRequest SmallFields(const ForwardRequest& request) {
  pb::ForwardRequest message;
  FillRequest(request, message);
  message.set_layer(request.layer);
  if (request.causal.has_value()) {
    message.set_causal(static_cast<pb::CausalMode>(*request.causal));
  }
  if (request.causal_offset.has_value()) {
    message.set_causal_offset(*request.causal_offset);
  }
  message.mutable_positions()->Add(request.positions.begin(),
                                   request.positions.end());
  return message;
}

}  // namespace

std::string_view WeightFormatName(WeightFormat format) {
  switch (format) {
    case WeightFormat::kF32:
      return "f32";
    case WeightFormat::kF16:
      return "f16";
    case WeightFormat::kBf16:
      return "bf16";
    case WeightFormat::kInt8:
      return "int8";
    case WeightFormat::kUnspecified:
      break;
  }
  return "unspecified";
}

WireMessage EncodeRequest(const ForwardRequest& request) {
  WireMessage out;
  out.Append(SmallFields(request).SerializeAsString());
  AppendTensor(pb::ForwardRequest::kHiddenFieldNumber, request.hidden, out);
  AppendTensor(pb::ForwardRequest::kContextFieldNumber, request.context, out);
  AppendTensor(pb::ForwardRequest::kAttnMaskFieldNumber, request.attn_mask,
               out);
  return out;
}

WireMessage EncodeBatch(absl::Span<const ForwardRequest> requests) {
  return EncodeItems(pb::ForwardBatchRequest::kRequestsFieldNumber, requests);
}

Layer DecodeLayer(pb::Layer& message) {
  Layer layer;
  layer.name = std::move(*message.mutable_name());
  layer.model_type = std::move(*message.mutable_model_type());
  layer.index = message.index();
  layer.hidden_dim = message.hidden_dim();
  layer.output_dim = message.output_dim();
  layer.num_q_heads = message.num_q_heads();
  layer.num_kv_heads = message.num_kv_heads();
  layer.head_dim = message.head_dim();
  layer.causal = static_cast<Causal>(message.causal());
  layer.window = message.window();
  layer.has_rope = message.has_rope();
  layer.weights = static_cast<WeightFormat>(message.weights());
  layer.weight_bytes = message.weight_bytes();
  return layer;
}

LayerPage DecodeLayerPage(pb::ListLayersResponse& message) {
  LayerPage page;
  page.layers.reserve(message.layers_size());
  for (pb::Layer& layer : *message.mutable_layers()) {
    page.layers.push_back(DecodeLayer(layer));
  }
  page.next_page_token = std::move(*message.mutable_next_page_token());
  return page;
}

bool IsIdempotent(const ForwardRequest& request) {
  return !request.session.has_value() ||
         request.session->expected_length.has_value();
}

}  // namespace attn::client
