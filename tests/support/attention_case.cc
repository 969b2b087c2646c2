#include "tests/support/attention_case.h"

#include <cmath>
#include <cstdio>

#include "core/attention/validate.h"
#include "core/base/check.h"
#include "core/tensor/conversions.h"

namespace attn::test {
namespace {

TensorSpec MakeTensorSpec(DataType dtype, Dims dims) {
  TensorSpec spec{.is_present = true, .dtype = dtype, .dims = std::move(dims)};
  spec.data_bytes = NumElements(spec.dims).value() * ElementBytes(dtype);
  return spec;
}

Dims TensorDims(const CaseOptions& o, int64_t heads, int64_t length,
                int64_t dim) {
  switch (o.layout) {
    case Layout::kBSHD:
      return {o.batch_size, length, heads, dim};
    case Layout::kBSE:
      return {o.batch_size, length, heads * dim};
    default:
      return {o.batch_size, heads, length, dim};
  }
}

void MakeRotation(AttentionCase& made) {
  made.query_rotation.resize(
      static_cast<size_t>(QueryRotationBytes(made.plan)));
  made.key_rotation.resize(static_cast<size_t>(KeyRotationBytes(made.plan)));
  FillRotation(made.plan, {.given_cos = made.cos.data(),
                           .given_sin = made.sin.data(),
                           .query = made.query_rotation.data(),
                           .key = made.key_rotation.data()});
}

std::vector<std::byte> RandomMask(const TensorSpec& spec, Random& random) {
  const int64_t n = NumElements(spec.dims).value();
  if (spec.dtype != DataType::kBool) {
    std::vector<std::byte> mask = RandomTensor(spec.dtype, n, random);
    const float minus_infinity = -INFINITY;
    for (int64_t i = 0; i < n; ++i) {
      if (random.Chance(0.75)) continue;
      ConvertFromF32(&minus_infinity, 1, spec.dtype,
                     mask.data() + i * ElementBytes(spec.dtype));
    }
    return mask;
  }
  std::vector<std::byte> mask(static_cast<size_t>(n));
  for (std::byte& flag : mask) flag = std::byte{random.Chance(0.75)};
  return mask;
}

}  // namespace

AttentionOutputs::AttentionOutputs(const AttentionPlan& plan)
    : output(static_cast<size_t>(plan.output_bytes), std::byte{0xee}),
      lse(static_cast<size_t>(plan.lse_bytes), std::byte{0xee}),
      weights(static_cast<size_t>(plan.weights_bytes), std::byte{0xee}),
      top_indices(static_cast<size_t>(plan.top_bytes), std::byte{0xee}),
      top_probabilities(static_cast<size_t>(plan.top_bytes), std::byte{0xee}) {}

void AttentionOutputs::AddTo(RequestBuffers& buffers) {
  buffers.output = output.data();
  buffers.lse = lse.empty() ? nullptr : lse.data();
  buffers.weights = weights.empty() ? nullptr : weights.data();
  if (top_indices.empty()) return;
  buffers.top_indices = top_indices.data();
  buffers.top_probabilities = top_probabilities.data();
}

RequestSpec MakeSpec(const CaseOptions& o) {
  RequestSpec spec;
  spec.query = MakeTensorSpec(
      o.dtype, TensorDims(o, o.num_q_heads, o.q_len, o.head_dim));
  spec.key = MakeTensorSpec(
      o.dtype, TensorDims(o, o.num_kv_heads, o.kv_len, o.head_dim));
  spec.value = MakeTensorSpec(
      o.dtype, TensorDims(o, o.num_kv_heads, o.kv_len, o.value_head_dim));
  if (o.has_mask) {
    spec.attn_mask = MakeTensorSpec(
        o.mask_dtype, Dims(o.mask_dims.begin(), o.mask_dims.end()));
  }
  spec.layout = o.layout;
  if (o.layout == Layout::kBSE) {
    spec.num_q_heads = o.num_q_heads;
    spec.num_kv_heads = o.num_kv_heads;
  }
  if (o.rope_table_rows > 0) {
    const int64_t rotary_dim = o.params.rope->rotary_dim;
    const int64_t pairs = (rotary_dim == 0 ? o.head_dim : rotary_dim) / 2;
    spec.rope_cos = MakeTensorSpec(DataType::kF32, {o.rope_table_rows, pairs});
    spec.rope_sin = spec.rope_cos;
  }
  spec.kv_lengths = o.kv_lengths;
  spec.params = o.params;
  spec.output = o.output;
  return spec;
}

AttentionCase MakeCase(const CaseOptions& options) {
  AttentionCase made;
  made.spec = MakeSpec(options);
  auto plan = ValidateRequest(made.spec, RequestLimits{});
  if (!plan.ok()) {
    std::fprintf(stderr, "%s\n", plan.status().ToString().c_str());
  }
  ATTN_CHECK(plan.ok());
  made.plan = *std::move(plan);
  Random random(options.seed);
  const auto tensor = [&](const TensorSpec& spec) {
    return RandomTensor(spec.dtype, NumElements(spec.dims).value(), random);
  };
  made.query = tensor(made.spec.query);
  made.key = tensor(made.spec.key);
  made.value = tensor(made.spec.value);
  if (options.has_mask) made.mask = RandomMask(made.spec.attn_mask, random);
  if (made.plan.rope.has_tables) {
    made.cos = tensor(made.spec.rope_cos);
    made.sin = tensor(made.spec.rope_sin);
  }
  if (made.plan.rope.is_on()) MakeRotation(made);
  return made;
}

std::vector<std::byte> RandomTensor(DataType dtype, int64_t n, Random& random) {
  std::vector<std::byte> bytes(static_cast<size_t>(n * ElementBytes(dtype)));
  for (int64_t i = 0; i < n; ++i) {
    const double value = random.Gaussian();
    ConvertFromF64(&value, 1, dtype, bytes.data() + i * ElementBytes(dtype));
  }
  return bytes;
}

RequestBuffers AttentionCase::Inputs() const {
  // Kernels only read it.
  auto* query_turns = const_cast<std::byte*>(query_rotation.data());
  auto* key_turns = const_cast<std::byte*>(key_rotation.data());
  return {.query = query.data(),
          .key = key.data(),
          .value = value.data(),
          .mask = mask.data(),
          .rotation = {.given_cos = cos.data(),
                       .given_sin = sin.data(),
                       .query = query_turns,
                       .key = key_turns},
          .paged = {}};
}

std::vector<double> ToDoubles(DataType dtype,
                              const std::vector<std::byte>& from) {
  ATTN_CHECK(ElementBytes(dtype) > 0);
  const int64_t n = static_cast<int64_t>(from.size()) / ElementBytes(dtype);
  std::vector<double> doubles(static_cast<size_t>(n));
  ConvertToF64(dtype, from.data(), n, doubles.data());
  return doubles;
}

std::vector<float> ToFloats(DataType dtype,
                            const std::vector<std::byte>& from) {
  ATTN_CHECK(ElementBytes(dtype) > 0);
  const int64_t n = static_cast<int64_t>(from.size()) / ElementBytes(dtype);
  std::vector<float> floats(static_cast<size_t>(n));
  ConvertToF32(dtype, from.data(), n, 1.0f, floats.data());
  return floats;
}

}  // namespace attn::test
