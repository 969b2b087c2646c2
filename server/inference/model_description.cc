#include "server/inference/model_description.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "server/inference/datatype.h"
#include "server/inference/infer_request.h"

namespace attn {
namespace {

// A tensor of a model, without its batch axis. Several datatypes are taken of
// most; the protocol has room for one.
struct ModelTensor {
  std::string_view name;
  DataType dtype;
  std::vector<int64_t> dims;
  bool is_optional;
};

std::vector<ModelTensor> InputsOf(const AttentionLayer& layer) {
  return {{"hidden", DataType::kF32, {-1, layer.hidden_dim}, false},
          {"context", DataType::kF32, {-1, layer.hidden_dim}, true},
          {"attn_mask", DataType::kBool, {-1, -1, -1}, true},
          {"kv_lengths", DataType::kI64, {1}, true}};
}

// kv_lengths has no place in sequences.
std::vector<ModelTensor> InputsOf(const ServedModel& model) {
  if (model.layer != nullptr) return InputsOf(*model.layer);
  const std::vector<int64_t> heads{-1, -1, -1};
  const bool is_sequence = model.model == InferModel::kAttentionKv;
  std::vector<ModelTensor> inputs{
      {"Q", DataType::kF32, heads, false},
      {"K", DataType::kF32, heads, is_sequence},
      {"V", DataType::kF32, heads, is_sequence},
      {"attn_mask", DataType::kBool, heads, true},
  };
  if (!is_sequence) {
    inputs.push_back({"kv_lengths", DataType::kI64, {1}, true});
  }
  return inputs;
}

std::vector<ModelTensor> OutputsOf(const ServedModel& model) {
  std::vector<int64_t> output{-1, -1, -1};
  std::vector<int64_t> lse{-1, -1};
  if (model.layer != nullptr) {
    output = {-1, model.layer->output_dim};
    lse[0] = model.layer->num_q_heads;
  }
  return {{OutputName(model.model, InferOutput::kY), DataType::kF32,
           std::move(output), false},
          {OutputName(model.model, InferOutput::kLse), DataType::kF32,
           std::move(lse), false}};
}

void Describe(const ModelTensor& tensor,
              inference::ModelMetadataResponse::TensorMetadata& wire) {
  wire.set_name(std::string(tensor.name));
  wire.set_datatype(std::string(ToDatatype(tensor.dtype)));
  wire.add_shape(-1);
  wire.mutable_shape()->Add(tensor.dims.begin(), tensor.dims.end());
}

inference::DataType ToConfigType(DataType dtype) {
  switch (dtype) {
    case DataType::kBool:
      return inference::TYPE_BOOL;
    case DataType::kI64:
      return inference::TYPE_INT64;
    default:
      return inference::TYPE_FP32;
  }
}

uint64_t Microseconds(Duration duration) {
  return static_cast<uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(duration).count());
}

int32_t Clipped(int64_t number) {
  return static_cast<int32_t>(
      std::min<int64_t>(number, std::numeric_limits<int32_t>::max()));
}

void DescribeBatching(const ModelLimits& limits,
                      inference::ModelDynamicBatching& batching) {
  batching.set_max_queue_delay_microseconds(
      Microseconds(limits.max_batch_delay));
  batching.set_priority_levels(3);
  batching.set_default_priority_level(2);
  auto& policy = *batching.mutable_default_queue_policy();
  policy.set_timeout_action(inference::ModelQueuePolicy::REJECT);
  policy.set_allow_timeout_override(true);
  policy.set_max_queue_size(
      static_cast<uint32_t>(Clipped(limits.max_queue_tasks)));
}

void DescribeSequences(const ModelLimits& limits,
                       inference::ModelSequenceBatching& sequences) {
  sequences.set_max_sequence_idle_microseconds(
      Microseconds(limits.session_idle_ttl));
  auto& oldest = *sequences.mutable_oldest();
  oldest.set_max_candidate_sequences(Clipped(limits.max_sessions));
  oldest.set_max_queue_delay_microseconds(Microseconds(limits.max_batch_delay));
}

}  // namespace

inference::ModelMetadataResponse DescribeModel(const ServedModel& model) {
  inference::ModelMetadataResponse wire;
  wire.set_name(model.name);
  wire.add_versions(std::string(kModelVersion));
  wire.set_platform("attnserve");
  for (const auto& tensor : InputsOf(model)) {
    Describe(tensor, *wire.add_inputs());
  }
  for (const auto& tensor : OutputsOf(model))
    Describe(tensor, *wire.add_outputs());
  return wire;
}

inference::ModelConfig DescribeConfig(const ServedModel& model,
                                      const ModelLimits& limits) {
  // Bytes are the only bound of a batch; tools want a number of sequences.
  constexpr int32_t kMaxBatchSize = 1024;
  inference::ModelConfig wire;
  wire.set_name(model.name);
  wire.set_backend("attnserve");
  const bool is_sequence = model.model == InferModel::kAttentionKv;
  wire.set_max_batch_size(is_sequence ? 1 : kMaxBatchSize);
  for (const auto& tensor : InputsOf(model)) {
    auto& input = *wire.add_input();
    input.set_name(std::string(tensor.name));
    input.set_data_type(ToConfigType(tensor.dtype));
    input.mutable_dims()->Add(tensor.dims.begin(), tensor.dims.end());
    input.set_allow_ragged_batch(true);
    input.set_optional(tensor.is_optional);
  }
  for (const auto& tensor : OutputsOf(model)) {
    auto& output = *wire.add_output();
    output.set_name(std::string(tensor.name));
    output.set_data_type(ToConfigType(tensor.dtype));
    output.mutable_dims()->Add(tensor.dims.begin(), tensor.dims.end());
  }
  if (is_sequence) {
    DescribeSequences(limits, *wire.mutable_sequence_batching());
  } else {
    DescribeBatching(limits, *wire.mutable_dynamic_batching());
  }
  return wire;
}

}  // namespace attn
