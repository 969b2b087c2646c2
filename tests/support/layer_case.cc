#include "tests/support/layer_case.h"

#include <cmath>

#include "core/base/check.h"
#include "core/tensor/conversions.h"
#include "tests/support/random.h"
#include "tests/support/rounding.h"

namespace attn::test {
namespace {

struct Sent {
  std::vector<std::byte> bytes;
  std::vector<double> values;
};

Sent Encode(DataType dtype, std::vector<double> values) {
  Sent sent{.bytes = {}, .values = std::move(values)};
  const auto n = static_cast<int64_t>(sent.values.size());
  sent.bytes.resize(static_cast<size_t>(n * ElementBytes(dtype)));
  ConvertFromF64(sent.values.data(), n, dtype, sent.bytes.data());
  return sent;
}

Sent RandomRows(DataType dtype, int64_t n, Random& random) {
  std::vector<double> values;
  for (int64_t i = 0; i < n; ++i) {
    values.push_back(RoundedTo(dtype, random.Gaussian()));
  }
  return Encode(dtype, std::move(values));
}

TensorSpec SpecOf(DataType dtype, Dims dims) {
  const int64_t elements = NumElements(dims).value();
  return {.is_present = true,
          .dtype = dtype,
          .dims = std::move(dims),
          .data_bytes = elements * ElementBytes(dtype)};
}

// As the request shows it, and spread over [B, num_q_heads, q_len, kv_len].
void AddMask(const ReferenceLayer& layer, const LayerCaseOptions& o,
             Random& random, LayerCase& made) {
  const int64_t kv_len = made.reference.kv_len();
  const int64_t heads = o.batch_size * layer.num_q_heads;
  const auto n = static_cast<size_t>(heads * o.q_len * kv_len);
  if (o.mask_dtype == DataType::kBool) {
    const auto of_one = static_cast<size_t>(o.q_len * kv_len);
    made.spec.attn_mask = SpecOf(o.mask_dtype, {o.q_len, kv_len});
    for (size_t i = 0; i < of_one; ++i) {
      made.mask.push_back(std::byte{random.Chance(0.75)});
    }
    for (size_t i = 0; i < n; ++i) {
      made.reference.mask.push_back(
          made.mask[i % of_one] == std::byte{0} ? -INFINITY : 0);
    }
    return;
  }
  ATTN_CHECK(o.mask_dtype == DataType::kF32);
  made.spec.attn_mask =
      SpecOf(o.mask_dtype, {o.batch_size, layer.num_q_heads, o.q_len, kv_len});
  Sent sent = RandomRows(o.mask_dtype, static_cast<int64_t>(n), random);
  for (double& bias : sent.values) {
    if (!random.Chance(0.75)) bias = -INFINITY;
  }
  sent = Encode(o.mask_dtype, std::move(sent.values));
  made.mask = std::move(sent.bytes);
  made.reference.mask = std::move(sent.values);
}

void AddNumbers(const LayerCaseOptions& o, Random& random, LayerCase& made) {
  for (int64_t b = 0; o.has_kv_lengths && b < o.batch_size; ++b) {
    made.spec.kv_lengths.push_back(random.Between(0, made.reference.kv_len()));
  }
  for (int64_t row = 0; o.has_positions && row < o.q_len; ++row) {
    made.spec.positions.push_back(random.Between(0, 100000));
  }
  made.spec.causal = o.causal;
  made.spec.causal_offset = o.causal_offset;
  made.reference.kv_lengths = made.spec.kv_lengths;
  made.reference.positions = made.spec.positions;
  made.reference.causal = o.causal;
  made.reference.causal_offset = o.causal_offset;
}

}  // namespace

LayerCase MakeLayerCase(const ReferenceLayer& layer,
                        const LayerCaseOptions& o) {
  Random random(o.seed);
  LayerCase made;
  made.reference.batch_size = o.batch_size;
  made.reference.q_len = o.q_len;
  made.spec.hidden = SpecOf(o.dtype, {o.batch_size, o.q_len, layer.hidden_dim});
  Sent hidden =
      RandomRows(o.dtype, o.batch_size * o.q_len * layer.hidden_dim, random);
  made.hidden = std::move(hidden.bytes);
  made.reference.hidden = std::move(hidden.values);
  if (o.context_len.has_value()) {
    const int64_t length = *o.context_len;
    made.spec.context =
        SpecOf(o.dtype, {o.batch_size, length, layer.hidden_dim});
    Sent context =
        RandomRows(o.dtype, o.batch_size * length * layer.hidden_dim, random);
    made.context = std::move(context.bytes);
    made.reference.context = std::move(context.values);
    made.reference.context_len = length;
  }
  if (o.mask_dtype != DataType::kUnspecified) AddMask(layer, o, random, made);
  AddNumbers(o, random, made);
  made.spec.output.dtype = o.output_dtype;
  made.reference.output_dtype =
      o.output_dtype == DataType::kUnspecified ? o.dtype : o.output_dtype;
  return made;
}

LayerCase CutRows(const LayerCase& whole, int64_t first, int64_t n) {
  const TensorSpec& from = whole.spec.hidden;
  ATTN_CHECK(from.dims[0] == 1);
  const int64_t row_bytes = from.dims[2] * ElementBytes(from.dtype);
  LayerCase cut;
  cut.spec.hidden = SpecOf(from.dtype, {1, n, from.dims[2]});
  cut.spec.output = whole.spec.output;
  const auto start = whole.hidden.begin() + first * row_bytes;
  cut.hidden.assign(start, start + n * row_bytes);
  return cut;
}

}  // namespace attn::test
