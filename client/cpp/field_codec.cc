#include "client/cpp/field_codec.h"

#include <utility>

namespace attn::client {

namespace pb = attn::v1;

namespace {

void FillHeader(const Tensor& tensor, pb::Tensor& message) {
  message.set_dtype(static_cast<pb::DataType>(tensor.dtype()));
  message.mutable_shape()->Add(tensor.shape().begin(), tensor.shape().end());
}

// For tables of a few KiB that are not worth a slice.
void FillCopy(const Tensor& tensor, pb::Tensor& message) {
  FillHeader(tensor, message);
  if (tensor.shared_place().has_value()) {
    FillShared(tensor, *message.mutable_shared());
  } else {
    message.set_data(tensor.bytes().data(), tensor.bytes().size());
  }
}

}  // namespace

void AppendTensor(int field, const Tensor& tensor, WireMessage& out) {
  if (!tensor.present()) {
    return;
  }
  pb::Tensor header;
  FillHeader(tensor, header);
  WireMessage body;
  if (tensor.shared_place().has_value()) {
    FillShared(tensor, *header.mutable_shared());
    body.Append(header.SerializeAsString());
  } else {
    body.Append(header.SerializeAsString());
    body.AppendLengthDelimited(pb::Tensor::kDataFieldNumber,
                               tensor.bytes().size());
    body.AppendShared(tensor.owner(), tensor.bytes());
  }
  out.AppendLengthDelimited(field, body.size_bytes());
  out.AppendMessage(std::move(body));
}

void FillShared(const Tensor& tensor, pb::SharedRange& message) {
  message.set_size(tensor.bytes().size());
  if (tensor.shared_place().has_value()) {
    message.set_region_id(tensor.shared_place()->region_id);
    message.set_offset(tensor.shared_place()->offset);
  }
}

void FillRope(const RopeParams& rope, pb::RopeParams& message) {
  message.set_base(rope.base);
  message.set_rotary_dim(rope.rotary_dim);
  message.set_interleaved(rope.interleaved);
  message.set_scaling_factor(rope.scaling_factor);
  if (rope.cos.present()) {
    FillCopy(rope.cos, *message.mutable_cos());
  }
  if (rope.sin.present()) {
    FillCopy(rope.sin, *message.mutable_sin());
  }
  message.mutable_positions()->Add(rope.positions.begin(),
                                   rope.positions.end());
  message.mutable_key_positions()->Add(rope.key_positions.begin(),
                                       rope.key_positions.end());
}

void FillSession(const SessionRef& session, pb::SessionRef& message) {
  message.set_session_id(session.session_id);
  message.set_layer(session.layer);
  if (session.expected_length.has_value()) {
    message.set_expected_length(*session.expected_length);
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

Tensor TakeTensor(pb::Tensor& message) {
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

}  // namespace attn::client
