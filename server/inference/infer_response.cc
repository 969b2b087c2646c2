#include "server/inference/infer_response.h"

#include <string>
#include <utility>

#include "core/base/error.h"
#include "inference/grpc_service.pb.h"
#include "server/inference/datatype.h"

namespace attn {
namespace {

using inference::ModelInferResponse;
using inference::ModelStreamInferResponse;

// An output's bytes in the task.
struct OutputTensor {
  const std::byte* data;
  int64_t size;
  DataType dtype;
  Dims dims;
};

OutputTensor TensorOf(const AttentionTask& task, InferOutput output) {
  const AttentionPlan& plan = task.plan();
  const Geometry& g = plan.geometry;
  const Dims rows{g.batch_size, g.num_q_heads, g.q_len};
  Dims lists = rows;
  lists.push_back(output == InferOutput::kWeights ? g.kv_len
                                                  : plan.output.top_k);
  switch (output) {
    case InferOutput::kY:
      return {task.output(), plan.output_bytes, plan.output_dtype,
              OutputDims(plan)};
    case InferOutput::kLse:
      return {task.lse(), plan.lse_bytes, DataType::kF32, rows};
    case InferOutput::kWeights:
      return {task.weights(), plan.weights_bytes, DataType::kF32, lists};
    case InferOutput::kTopIndices:
      return {task.top_indices(), plan.top_bytes, DataType::kI32, lists};
    case InferOutput::kTopProbabilities:
      return {task.top_probabilities(), plan.top_bytes, DataType::kF32, lists};
  }
  return {};
}

void DescribeOutput(const OutputTensor& tensor, InferOutput output,
                    ModelInferResponse& head) {
  auto& wire = *head.add_outputs();
  wire.set_name(std::string(OutputName(output)));
  wire.set_datatype(std::string(ToDatatype(tensor.dtype)));
  wire.mutable_shape()->Add(tensor.dims.begin(), tensor.dims.end());
}

}  // namespace

Reply EncodeInferResponse(const AttendOutcome& outcome,
                          const InferReplyOptions& options) {
  const AttentionTask& task = *outcome.task;
  ModelInferResponse head;
  head.set_model_name(std::string(ModelName(options.model)));
  head.set_model_version(std::string(kModelVersion));
  head.set_id(outcome.request_id);
  if (task.plan().has_session) {
    (*head.mutable_parameters())["session_length"].set_int64_param(
        task.plan().geometry.kv_len);
  }
  Reply contents;
  for (const InferOutput output : options.outputs) {
    const OutputTensor tensor = TensorOf(task, output);
    DescribeOutput(tensor, output, head);
    AppendBorrowed(
        ModelInferResponse::kRawOutputContentsFieldNumber,
        {.data = tensor.data, .data_bytes = tensor.size, .owner = outcome.task},
        contents);
  }
  Reply reply;
  AppendText(head.SerializeAsString(), reply);
  AppendReply(std::move(contents), reply);
  return reply;
}

Reply EncodeStreamInferResponse(Reply infer_response) {
  Reply reply;
  AppendMessage(ModelStreamInferResponse::kInferResponseFieldNumber,
                std::move(infer_response), reply);
  return reply;
}

Reply EncodeStreamInferError(const AttendOutcome& outcome) {
  ModelStreamInferResponse error;
  error.set_error_message(PublicMessage(outcome.status));
  // Without a message it would read as success.
  if (error.error_message().empty()) {
    error.set_error_message(absl::StatusCodeToString(outcome.status.code()));
  }
  error.mutable_infer_response()->set_id(outcome.request_id);
  Reply reply;
  AppendText(error.SerializeAsString(), reply);
  return reply;
}

}  // namespace attn
