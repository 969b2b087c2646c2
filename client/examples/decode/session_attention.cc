#include "client/examples/decode/session_attention.h"

#include <utility>
#include <vector>

namespace tiny_decoder {
namespace {

using attn::client::AttendRequest;
using attn::client::AttendResponse;
using attn::client::Tensor;

// [1, tokens, heads * head_dim] f32
Tensor ToTensor(const Matrix& rows) {
  return Tensor::FromDoubles(rows.values,
                             {1, static_cast<int64_t>(rows.rows),
                              static_cast<int64_t>(rows.columns)},
                             attn::client::DType::kF32)
      .value();
}

}  // namespace

absl::StatusOr<std::unique_ptr<SessionAttention>> SessionAttention::Create(
    const ModelShape& shape, attn::client::Client& client) {
  const absl::StatusOr<attn::client::Session> session =
      client.CreateSession({.num_layers = shape.layers,
                            .num_kv_heads = shape.kv_heads,
                            .head_dim = shape.head_dim});
  if (!session.ok()) {
    return session.status();
  }
  return std::unique_ptr<SessionAttention>(
      new SessionAttention(shape, session->session_id, client));
}

SessionAttention::SessionAttention(const ModelShape& shape,
                                   std::string session_id,
                                   attn::client::Client& client)
    : shape_(shape), session_id_(std::move(session_id)), client_(client) {}

// If that fails, the server frees it when it has idled long enough.
SessionAttention::~SessionAttention() {
  static_cast<void>(client_.DeleteSession(session_id_));
}

absl::StatusOr<Matrix> SessionAttention::Attend(
    uint32_t layer, uint64_t length, const Projections& projections) {
  AttendRequest request;
  request.query = ToTensor(projections.query);
  request.key = ToTensor(projections.key);
  request.value = ToTensor(projections.value);
  request.layout = attn::client::Layout::kBse;
  request.num_q_heads = shape_.q_heads;
  request.num_kv_heads = shape_.kv_heads;
  // Both count positions from the layer's length before this call, so that the
  // prompt and a single token are asked for alike.
  request.params.causal = attn::client::Causal::kTopLeft;
  request.params.rope = attn::client::RopeParams{.base = shape_.rope_base};
  // With the expected length the client may send a lost call again: tokens that
  // are there already are not appended twice.
  request.session = {
      .session_id = session_id_, .layer = layer, .expected_length = length};
  const absl::StatusOr<AttendResponse> response = client_.Attend(request);
  if (!response.ok()) {
    return response.status();
  }
  absl::StatusOr<std::vector<double>> values = response->output.ToDoubles();
  if (!values.ok()) {
    return values.status();
  }
  if (values->size() != projections.query.values.size()) {
    return absl::InternalError("the answer has another size than the query");
  }
  return Matrix{projections.query.rows, shape_.width(), *std::move(values)};
}

}  // namespace tiny_decoder
