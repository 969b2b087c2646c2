#include "tests/conformance/onnx/attention_request.h"

#include <cstring>
#include <optional>
#include <string>
#include <utility>

namespace attn::test {
namespace {

using client::Tensor;

// past: [B, H, P, D] and now: [B, H, S, D] to [B, H, P + S, D].
Tensor JoinHeads(const Tensor& past, const Tensor& now) {
  client::Shape shape = now.shape();
  shape[2] += past.shape()[2];
  const auto num_heads = static_cast<size_t>(shape[0] * shape[1]);
  const size_t past_bytes = past.bytes().size() / num_heads;
  const size_t now_bytes = now.bytes().size() / num_heads;
  std::string joined;
  for (size_t head = 0; head < num_heads; ++head) {
    joined += past.bytes().substr(head * past_bytes, past_bytes);
    joined += now.bytes().substr(head * now_bytes, now_bytes);
  }
  return Tensor::Own(now.dtype(), std::move(shape), std::move(joined));
}

// [B, H, P, D] to [B, P, H * D].
Tensor MergeHeads(const Tensor& tensor) {
  const auto length = [&](size_t axis) {
    return static_cast<size_t>(tensor.shape()[axis]);
  };
  const size_t num_heads = length(1);
  const size_t num_tokens = length(2);
  const size_t row_bytes = length(3) * client::ElementBytes(tensor.dtype());
  std::string merged(tensor.bytes().size(), '\0');
  for (size_t from = 0; from < length(0) * num_heads * num_tokens; ++from) {
    const size_t token = from % num_tokens;
    const size_t head = from / num_tokens % num_heads;
    const size_t item = from / num_tokens / num_heads;
    const size_t to = (item * num_tokens + token) * num_heads + head;
    std::memcpy(merged.data() + to * row_bytes,
                tensor.bytes().data() + from * row_bytes, row_bytes);
  }
  return Tensor::Own(tensor.dtype(),
                     {tensor.shape()[0], tensor.shape()[2],
                      tensor.shape()[1] * tensor.shape()[3]},
                     std::move(merged));
}

// past: [B, P, E] and now: [B, S, E] to [B, P + S, E].
Tensor JoinMerged(const Tensor& past, const Tensor& now) {
  const auto with_one_head = [](const Tensor& t) {
    return Tensor::Share(t.dtype(),
                         {t.shape()[0], 1, t.shape()[1], t.shape()[2]},
                         t.owner(), t.bytes());
  };
  const Tensor joined = JoinHeads(with_one_head(past), with_one_head(now));
  return Tensor::Share(
      joined.dtype(), {joined.shape()[0], joined.shape()[2], joined.shape()[3]},
      joined.owner(), joined.bytes());
}

// past is 4-D whatever the rank of K and V.
Tensor WithPast(const Tensor& past, const Tensor& now) {
  if (!past.present()) {
    return now;
  }
  return now.shape().size() == 4 ? JoinHeads(past, now)
                                 : JoinMerged(MergeHeads(past), now);
}

std::optional<int64_t> Window(int64_t attribute) {
  return attribute < 0 ? std::nullopt : std::optional(attribute);
}

client::AttentionParams ToParams(const OnnxCase& c) {
  client::AttentionParams params;
  const auto scale = c.floats.find("scale");
  if (scale != c.floats.end()) {
    params.scale = scale->second;
  }
  params.softcap = c.Float("softcap", 0);
  params.left_window = Window(c.Int("left_window_size", -1));
  params.right_window = Window(c.Int("right_window_size", -1));
  const bool has_lengths = c.Input("nonpad_kv_seqlen").present();
  if (c.Int("is_causal", 0) != 0) {
    params.causal =
        has_lengths ? client::Causal::kBottomRight : client::Causal::kTopLeft;
  }
  const Tensor past = c.Input("past_key");
  if (past.present()) {
    // Windows count from there even where nothing is causal.
    params.causal_offset = past.shape()[2];
  }
  return params;
}

}  // namespace

client::AttendRequest ToAttentionRequest(const OnnxCase& c) {
  client::AttendRequest request;
  request.request_id = c.name;
  request.query = c.Input("Q");
  request.key = WithPast(c.Input("past_key"), c.Input("K"));
  request.value = WithPast(c.Input("past_value"), c.Input("V"));
  request.layout = request.query.shape().size() == 4 ? client::Layout::kBhsd
                                                     : client::Layout::kBse;
  request.num_q_heads = static_cast<uint32_t>(c.Int("q_num_heads", 0));
  request.num_kv_heads = static_cast<uint32_t>(c.Int("kv_num_heads", 0));
  request.attn_mask = c.Input("attn_mask");
  request.kv_lengths = c.Integers("nonpad_kv_seqlen");
  request.params = ToParams(c);
  if (c.Output("qk_matmul_output").present()) {
    // Modes 0 to 3 are the contract's kRawScores to kProbabilities.
    request.output.weights =
        static_cast<client::Weights>(1 + c.Int("qk_matmul_output_mode", 0));
  }
  return request;
}

}  // namespace attn::test
