#include "client/cpp/request_codec.h"

#include <memory>
#include <string>
#include <utility>

#include "client/cpp/error_details.h"
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

void FillOutput(const OutputOptions& output, pb::OutputOptions& message) {
  message.set_dtype(static_cast<pb::DataType>(output.dtype));
  message.set_return_lse(output.return_lse);
  message.set_weights(static_cast<pb::WeightsMode>(output.weights));
  message.set_top_k(output.top_k);
  if (output.into.present()) {
    FillShared(output.into, *message.mutable_shared());
  }
}

// Everything but the large tensors.
pb::AttendRequest SmallFields(const AttendRequest& request) {
  pb::AttendRequest message;
  message.set_request_id(request.request_id);
  message.set_layout(static_cast<pb::Layout>(request.layout));
  message.set_num_q_heads(request.num_q_heads);
  message.set_num_kv_heads(request.num_kv_heads);
  message.mutable_kv_lengths()->Add(request.kv_lengths.begin(),
                                    request.kv_lengths.end());
  FillParams(request.params, *message.mutable_params());
  FillOutput(request.output, *message.mutable_output());
  if (request.session.has_value()) {
    FillSession(*request.session, *message.mutable_session());
  }
  message.set_priority(static_cast<pb::Priority>(request.priority));
  return message;
}

Tensor DecodeTensor(pb::Tensor& message) {
  Shape shape(message.shape().begin(), message.shape().end());
  return Tensor::Own(static_cast<DType>(message.dtype()), std::move(shape),
                     std::move(*message.mutable_data()));
}

Timing DecodeTiming(const pb::Timing& message) {
  Timing timing;
  timing.queue = absl::Nanoseconds(message.queue_ns());
  timing.compute = absl::Nanoseconds(message.compute_ns());
  timing.total = absl::Nanoseconds(message.total_ns());
  timing.batch_size = message.batch_size();
  return timing;
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
  WireMessage out;
  for (const AttendRequest& request : requests) {
    WireMessage item = EncodeRequest(request);
    out.AppendLengthDelimited(pb::AttendBatchRequest::kRequestsFieldNumber,
                              item.size_bytes());
    out.AppendMessage(std::move(item));
  }
  return out;
}

AttendResponse DecodeResponse(pb::AttendResponse& message) {
  AttendResponse response;
  response.request_id = std::move(*message.mutable_request_id());
  if (message.has_output() && !message.output().has_shared()) {
    response.output = DecodeTensor(*message.mutable_output());
  }
  if (message.has_lse()) {
    response.lse = DecodeTensor(*message.mutable_lse());
  }
  if (message.has_weights()) {
    response.weights = DecodeTensor(*message.mutable_weights());
  }
  if (message.has_top()) {
    pb::TopWeights& top = *message.mutable_top();
    response.top.indices = DecodeTensor(*top.mutable_indices());
    response.top.probabilities = DecodeTensor(*top.mutable_probabilities());
  }
  response.session_length = message.session_length();
  response.timing = DecodeTiming(message.timing());
  return response;
}

AttendResult DecodeResult(pb::AttendResult& message) {
  AttendResult result;
  result.status =
      MakeStatus(message.status().code(), message.status().message(), "");
  result.response = DecodeResponse(*message.mutable_response());
  return result;
}

bool IsIdempotent(const AttendRequest& request) {
  const bool appends = request.key.present() || request.value.present();
  return !request.session.has_value() || !appends ||
         request.session->expected_length.has_value();
}

}  // namespace attn::client
