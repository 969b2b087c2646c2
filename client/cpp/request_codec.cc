#include "client/cpp/request_codec.h"

#include "attn/v1/attention.pb.h"
#include "client/cpp/field_codec.h"

namespace attn::client {
namespace {

namespace pb = attn::v1;

void FillParams(const AttentionParams& params, pb::AttentionParams& message) {
  if (params.scale.has_value()) {
    message.set_scale(*params.scale);
  }
  message.set_causal(static_cast<pb::CausalMode>(params.causal));
  if (params.causal_offset.has_value()) {
    message.set_causal_offset(*params.causal_offset);
  }
  if (params.left_window.has_value()) {
    message.set_left_window(*params.left_window);
  }
  if (params.right_window.has_value()) {
    message.set_right_window(*params.right_window);
  }
  message.set_softcap(params.softcap);
  message.mutable_alibi_slopes()->Add(params.alibi_slopes.begin(),
                                      params.alibi_slopes.end());
  message.mutable_sinks()->Add(params.sinks.begin(), params.sinks.end());
  if (params.rope.has_value()) {
    FillRope(*params.rope, *message.mutable_rope());
  }
}

// Everything but the large tensors.
pb::AttendRequest SmallFields(const AttendRequest& request) {
  pb::AttendRequest message;
  FillRequest(request, message);
  message.set_layout(static_cast<pb::Layout>(request.layout));
  message.set_num_q_heads(request.num_q_heads);
  message.set_num_kv_heads(request.num_kv_heads);
  FillParams(request.params, *message.mutable_params());
  return message;
}

}  // namespace

WireMessage EncodeRequest(const AttendRequest& request) {
  WireMessage out;
  out.Append(SmallFields(request).SerializeAsString());
  AppendTensor(pb::AttendRequest::kQueryFieldNumber, request.query, out);
  AppendTensor(pb::AttendRequest::kKeyFieldNumber, request.key, out);
  AppendTensor(pb::AttendRequest::kValueFieldNumber, request.value, out);
  AppendTensor(pb::AttendRequest::kAttnMaskFieldNumber, request.attn_mask, out);
  return out;
}

WireMessage EncodeBatch(absl::Span<const AttendRequest> requests) {
  return EncodeItems(pb::AttendBatchRequest::kRequestsFieldNumber, requests);
}

bool IsIdempotent(const AttendRequest& request) {
  const bool appends = request.key.present() || request.value.present();
  return !request.session.has_value() || !appends ||
         request.session->expected_length.has_value();
}

}  // namespace attn::client
