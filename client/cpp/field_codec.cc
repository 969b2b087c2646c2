#include "client/cpp/field_codec.h"

#include <utility>

namespace attn::client {

namespace pb = attn::v1;

namespace {

void FillHeader(const Tensor& tensor, pb::Tensor& message) {
  message.set_dtype(static_cast<pb::DataType>(tensor.dtype()));
  message.mutable_shape()->Add(tensor.shape().begin(), tensor.shape().end());
}

// Names the place in shared memory instead of sending the bytes.
void FillShared(const Tensor& tensor, pb::Tensor& message) {
  FillHeader(tensor, message);
  pb::SharedRange& shared = *message.mutable_shared();
  shared.set_region_id(tensor.shared_place()->region_id);
  shared.set_offset(tensor.shared_place()->offset);
  shared.set_size(tensor.bytes().size());
}

// For tables of a few KiB that are not worth a slice.
void FillCopy(const Tensor& tensor, pb::Tensor& message) {
  if (tensor.shared_place().has_value()) {
    return FillShared(tensor, message);
  }
  FillHeader(tensor, message);
  message.set_data(tensor.bytes().data(), tensor.bytes().size());
}

}  // namespace

void AppendTensor(int field, const Tensor& tensor, WireMessage& out) {
  if (!tensor.present()) {
    return;
  }
  pb::Tensor header;
  WireMessage body;
  if (tensor.shared_place().has_value()) {
    FillShared(tensor, header);
    const std::string text = header.SerializeAsString();
    out.AppendLengthDelimited(field, text.size());
    out.Append(text);
    return;
  }
  FillHeader(tensor, header);
  body.Append(header.SerializeAsString());
  body.AppendLengthDelimited(pb::Tensor::kDataFieldNumber,
                             tensor.bytes().size());
  body.AppendShared(tensor.owner(), tensor.bytes());
  out.AppendLengthDelimited(field, body.size_bytes());
  out.AppendMessage(std::move(body));
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

}  // namespace attn::client
