#include "tests/integration/wire_case.h"

#include <cstring>

#include "tests/support/session_runner.h"

namespace attn::test {
namespace {

client::Tensor ToTensor(const TensorSpec& spec,
                        const std::vector<std::byte>& data) {
  return client::Tensor::Own(
      static_cast<client::DType>(spec.dtype),
      client::Shape(spec.dims.begin(), spec.dims.end()),
      std::string(reinterpret_cast<const char*>(data.data()), data.size()));
}

std::vector<std::byte> ToBytes(const client::Tensor& tensor) {
  std::vector<std::byte> bytes(tensor.bytes().size());
  if (!bytes.empty()) {
    std::memcpy(bytes.data(), tensor.bytes().data(), bytes.size());
  }
  return bytes;
}

client::RopeParams ToRope(const AttentionCase& c) {
  const RopeParams& rope = *c.spec.params.rope;
  client::RopeParams made;
  made.base = rope.base;
  made.rotary_dim = static_cast<uint32_t>(rope.rotary_dim);
  made.interleaved = rope.is_interleaved;
  made.scaling_factor = rope.scaling_factor;
  made.positions = rope.positions;
  made.key_positions = rope.key_positions;
  if (c.spec.rope_cos.is_present) {
    made.cos = ToTensor(c.spec.rope_cos, c.cos);
    made.sin = ToTensor(c.spec.rope_sin, c.sin);
  }
  return made;
}

client::AttentionParams ToParams(const AttentionCase& c) {
  const AttentionParams& params = c.spec.params;
  client::AttentionParams made;
  made.scale = params.scale;
  made.causal = static_cast<client::Causal>(params.causal);
  made.causal_offset = params.causal_offset;
  made.left_window = params.left_window;
  made.right_window = params.right_window;
  made.softcap = params.softcap;
  made.alibi_slopes = params.alibi_slopes;
  made.sinks = params.sinks;
  if (params.rope.has_value()) made.rope = ToRope(c);
  return made;
}

}  // namespace

client::AttendRequest ToRequest(const AttentionCase& c) {
  client::AttendRequest request;
  request.query = ToTensor(c.spec.query, c.query);
  request.key = ToTensor(c.spec.key, c.key);
  request.value = ToTensor(c.spec.value, c.value);
  if (c.spec.attn_mask.is_present) {
    request.attn_mask = ToTensor(c.spec.attn_mask, c.mask);
  }
  request.layout = static_cast<client::Layout>(c.spec.layout);
  request.num_q_heads = static_cast<uint32_t>(c.spec.num_q_heads);
  request.num_kv_heads = static_cast<uint32_t>(c.spec.num_kv_heads);
  request.kv_lengths = c.spec.kv_lengths;
  request.params = ToParams(c);
  request.output.dtype = static_cast<client::DType>(c.spec.output.dtype);
  request.output.return_lse = c.spec.output.return_lse;
  request.output.weights = static_cast<client::Weights>(c.spec.output.weights);
  request.output.top_k = static_cast<uint32_t>(c.spec.output.top_k);
  return request;
}

client::AttendRequest ToSessionRequest(const AttentionCase& whole,
                                       int64_t first, int64_t n,
                                       const std::string& session_id,
                                       uint32_t layer) {
  client::AttendRequest request = ToRequest(CutTokens(whole, first, n));
  request.session =
      client::SessionRef{.session_id = session_id,
                         .layer = layer,
                         .expected_length = static_cast<uint64_t>(first)};
  return request;
}

AttentionOutputs ToOutputs(const AttentionCase& c,
                           const client::AttendResponse& response) {
  AttentionOutputs outputs(c.plan);
  outputs.output = ToBytes(response.output);
  outputs.lse = ToBytes(response.lse);
  outputs.weights = ToBytes(response.weights);
  outputs.top_indices = ToBytes(response.top.indices);
  outputs.top_probabilities = ToBytes(response.top.probabilities);
  return outputs;
}

}  // namespace attn::test
