#include "tests/conformance/onnx/rotary_request.h"

#include <numeric>
#include <string>
#include <utility>

namespace attn::test {
namespace {

using client::Tensor;

// Lengths of X, whichever rank it has.
struct RotaryShape {
  explicit RotaryShape(const OnnxCase& c) {
    const client::Shape shape = c.Input("X").shape();
    is_merged = shape.size() == 3;
    batch_size = shape[0];
    num_heads = is_merged ? c.Int("num_heads", 1) : shape[1];
    length = is_merged ? shape[1] : shape[2];
    head_dim = is_merged ? shape[2] / num_heads : shape[3];
  }

  bool is_merged = false;  // [B, S, H * D], not [B, H, S, D].
  int64_t batch_size = 0;
  int64_t num_heads = 0;
  int64_t length = 0;
  int64_t head_dim = 0;
};

// tensor[index, ...] with a batch axis of 1.
Tensor BatchRow(const Tensor& tensor, int64_t index) {
  client::Shape shape = tensor.shape();
  const size_t row_bytes =
      tensor.bytes().size() / static_cast<size_t>(std::exchange(shape[0], 1));
  return Tensor::Share(
      tensor.dtype(), std::move(shape), tensor.owner(),
      tensor.bytes().substr(static_cast<size_t>(index) * row_bytes, row_bytes));
}

// The rows [length, rotary_dim / 2] that batch row `item` reads, and one more
// that is `last` throughout. ONNX's cache is that table, or has one for each
// batch row.
Tensor Table(const Tensor& cache, int64_t item, float last) {
  const Tensor rows = cache.shape().size() == 2 ? cache : BatchRow(cache, item);
  std::vector<float> elements = rows.ToFloats().value();
  const int64_t width = cache.shape().back();
  const int64_t length = static_cast<int64_t>(elements.size()) / width;
  elements.insert(elements.end(), static_cast<size_t>(width), last);
  return Tensor::FromFloats(elements, {length + 1, width}).value();
}

// position_ids[item], or 0, 1, ... where the case has none.
std::vector<int64_t> Positions(const OnnxCase& c, int64_t item,
                               int64_t length) {
  std::vector<int64_t> positions(static_cast<size_t>(length));
  std::iota(positions.begin(), positions.end(), 0);
  const std::vector<int64_t> ids = c.Integers("position_ids");
  if (!ids.empty()) {
    const auto first = ids.begin() + item * length;
    positions.assign(first, first + length);
  }
  return positions;
}

// [1, 1, dim, dim], or [1, dim, dim] with the one head merged.
Tensor Identity(const RotaryShape& shape) {
  const int64_t dim = shape.head_dim;
  std::vector<float> elements(static_cast<size_t>(dim * dim));
  for (size_t i = 0; i < elements.size(); i += static_cast<size_t>(dim) + 1) {
    elements[i] = 1;
  }
  const client::Shape axes = shape.is_merged ? client::Shape{1, dim, dim}
                                             : client::Shape{1, 1, dim, dim};
  return Tensor::FromFloats(elements, axes).value();
}

client::RopeParams ToRope(const OnnxCase& c, const RotaryShape& shape,
                          int64_t item) {
  client::RopeParams rope;
  rope.rotary_dim = static_cast<uint32_t>(c.Int("rotary_embedding_dim", 0));
  rope.interleaved = c.Int("interleaved", 0) != 0;
  rope.cos = Table(c.Input("cos_cache"), item, 1);
  rope.sin = Table(c.Input("sin_cache"), item, 0);
  rope.positions = Positions(c, item, shape.length);
  const int64_t identity_position = rope.cos.shape()[0] - 1;
  rope.key_positions.assign(static_cast<size_t>(shape.head_dim),
                            identity_position);
  return rope;
}

}  // namespace

std::vector<client::AttendRequest> ToRotaryRequests(const OnnxCase& c) {
  const RotaryShape shape(c);
  std::vector<client::AttendRequest> requests;
  for (int64_t item = 0; item < shape.batch_size; ++item) {
    client::AttendRequest& request = requests.emplace_back();
    request.request_id = c.name;
    request.query = BatchRow(c.Input("X"), item);
    request.key = Identity(shape);
    request.value = request.key;
    if (shape.is_merged) {
      request.layout = client::Layout::kBse;
      request.num_q_heads = static_cast<uint32_t>(shape.num_heads);
      request.num_kv_heads = 1;
    }
    request.params.scale = 1;
    request.params.rope = ToRope(c, shape, item);
    request.output.weights = client::Weights::kRawScores;
  }
  return requests;
}

std::vector<float> RotatedElements(
    const OnnxCase& c, const std::vector<client::AttendResponse>& responses) {
  const RotaryShape shape(c);
  const auto dim = static_cast<size_t>(shape.head_dim);
  const auto num_heads = static_cast<size_t>(shape.num_heads);
  const auto length = static_cast<size_t>(shape.length);
  std::vector<float> rotated;
  for (const client::AttendResponse& response : responses) {
    const std::vector<float> scores = response.weights.ToFloats().value();
    for (size_t row = 0; row < num_heads * length; ++row) {
      const size_t from =
          shape.is_merged ? row % num_heads * length + row / num_heads : row;
      const auto first =
          scores.begin() + static_cast<std::ptrdiff_t>(from * dim);
      rotated.insert(rotated.end(), first,
                     first + static_cast<std::ptrdiff_t>(dim));
    }
  }
  return rotated;
}

}  // namespace attn::test
