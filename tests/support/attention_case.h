// A whole request in memory: a spec, random tensors that fit it, and what the
// reference makes of them. What conformance, property and engine tests share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/attention/attention_plan.h"
#include "core/attention/problem.h"
#include "core/attention/reference_kernel.h"
#include "core/attention/request_spec.h"
#include "tests/support/random.h"

namespace attn::test {

// What to make; the defaults are a small f32 problem without options.
struct CaseOptions {
  int64_t batch_size = 1;
  int64_t num_q_heads = 2;
  int64_t num_kv_heads = 2;
  int64_t q_len = 8;
  int64_t kv_len = 8;
  int64_t head_dim = 16;
  int64_t value_head_dim = 16;
  DataType dtype = DataType::kF32;
  Layout layout = Layout::kBHSD;
  AttentionParams params;
  OutputOptions output;
  std::vector<int64_t> kv_lengths;
  // Shape and dtype of the mask; no mask if `has_mask` is false.
  bool has_mask = false;
  DataType mask_dtype = DataType::kBool;
  std::vector<int64_t> mask_dims;
  // Rows of random rotation tables beside params.rope; 0: none.
  int64_t rope_table_rows = 0;
  uint64_t seed = 1;
};

// A request with its tensors. Thread-compatible.
struct AttentionCase {
  RequestSpec spec;
  AttentionPlan plan;
  std::vector<std::byte> query, key, value, mask, cos, sin;
  // What FillRotation makes of the plan and the tables.
  std::vector<std::byte> query_rotation, key_rotation;

  RequestBuffers Inputs() const;
};

// Results as bytes, sized by the plan.
struct AttentionOutputs {
  std::vector<std::byte> output, lse, weights, top_indices, top_probabilities;

  explicit AttentionOutputs(const AttentionPlan& plan);
  void AddTo(RequestBuffers& buffers);
  friend bool operator==(const AttentionOutputs&,
                         const AttentionOutputs&) = default;
};

RequestSpec MakeSpec(const CaseOptions& options);

// Random Gaussian tensors; the mask allows about three keys of four. Dies when
// the options do not make a valid request.
AttentionCase MakeCase(const CaseOptions& options);

// `n` elements, as the dtype's bytes.
std::vector<std::byte> RandomTensor(DataType dtype, int64_t n, Random& random);

std::vector<float> ToFloats(DataType dtype, const std::vector<std::byte>& from);
std::vector<double> ToDoubles(DataType dtype,
                              const std::vector<std::byte>& from);

}  // namespace attn::test
