#include "server/inference/infer_response.h"

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "core/base/error.h"
#include "inference/grpc_service.pb.h"
#include "server/inference/datatype.h"
#include "server/reply_fields.h"

namespace attn {
namespace {

using inference::ModelInferResponse;
using inference::ModelStreamInferResponse;

// What a response is made of.
struct InferResult {
  TensorBytes output;
  // Has the others.
  const AttentionTask& task;
  // Of the bytes.
  std::shared_ptr<const void> owner;
  const std::string& request_id;
};

TensorBytes TensorOf(const InferResult& result, InferOutput output) {
  const AttentionTask& task = result.task;
  const AttentionPlan& plan = task.plan();
  const Geometry& g = plan.geometry;
  const Dims rows{g.batch_size, g.num_q_heads, g.q_len};
  Dims lists = rows;
  lists.push_back(output == InferOutput::kWeights ? g.kv_len
                                                  : plan.output.top_k);
  switch (output) {
    case InferOutput::kY:
      return result.output;
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

void DescribeOutput(const TensorBytes& tensor, std::string_view name,
                    ModelInferResponse& head) {
  auto& wire = *head.add_outputs();
  wire.set_name(std::string(name));
  wire.set_datatype(std::string(ToDatatype(tensor.dtype)));
  wire.mutable_shape()->Add(tensor.dims.begin(), tensor.dims.end());
}

Reply Encode(const InferResult& result, const InferReplyOptions& options) {
  ModelInferResponse head;
  head.set_model_name(options.model_name);
  head.set_model_version(std::string(kModelVersion));
  head.set_id(result.request_id);
  const AttentionPlan& plan = result.task.plan();
  if (plan.has_session) {
    (*head.mutable_parameters())["session_length"].set_int64_param(
        plan.geometry.kv_len);
  }
  Reply contents;
  for (const InferOutput output : options.outputs) {
    const TensorBytes tensor = TensorOf(result, output);
    DescribeOutput(tensor, OutputName(options.model, output), head);
    AppendBorrowed(
        ModelInferResponse::kRawOutputContentsFieldNumber,
        {.data = tensor.data, .data_bytes = tensor.size, .owner = result.owner},
        contents);
  }
  Reply reply;
  AppendText(head.SerializeAsString(), reply);
  AppendReply(std::move(contents), reply);
  return reply;
}

}  // namespace

Reply EncodeInferResponse(const AttendOutcome& outcome,
                          const InferReplyOptions& options) {
  const AttentionTask& task = *outcome.task;
  const AttentionPlan& plan = task.plan();
  return Encode({.output = {task.output(), plan.output_bytes, plan.output_dtype,
                            OutputDims(plan)},
                 .task = task,
                 .owner = outcome.task,
                 .request_id = outcome.request_id},
                options);
}

Reply EncodeInferResponse(const ForwardOutcome& outcome,
                          const InferReplyOptions& options) {
  const ForwardJob& job = *outcome.job;
  return Encode({.output = {job.output(), job.output_bytes(),
                            job.output_dtype(), job.output_dims()},
                 .task = job.attention(),
                 .owner = outcome.job,
                 .request_id = outcome.request_id},
                options);
}

Reply EncodeStreamInferResponse(Reply infer_response) {
  Reply reply;
  AppendMessage(ModelStreamInferResponse::kInferResponseFieldNumber,
                std::move(infer_response), reply);
  return reply;
}

Reply EncodeStreamInferError(const InferOutcome& outcome) {
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
