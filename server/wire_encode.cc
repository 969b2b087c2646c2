// The reply side of server/wire_codec.h.
#include <utility>

#include "attn/v1/attention.pb.h"
#include "core/base/error.h"
#include "core/tensor/shape.h"
#include "server/wire_codec.h"

namespace attn {
namespace {

// A tensor's bytes in the task, which the chunk keeps alive.
struct TensorBytes {
  const std::byte* data;
  int64_t size;
  DataType dtype;
  Dims dims;
};

v1::Tensor HeaderOf(DataType dtype, const Dims& dims) {
  v1::Tensor header;
  header.set_dtype(static_cast<v1::DataType>(dtype));
  header.mutable_shape()->Add(dims.begin(), dims.end());
  return header;
}

void AppendTensor(int field_number, const TensorBytes& tensor,
                  const AttentionTaskPtr& task, Reply& reply) {
  Reply message;
  AppendText(HeaderOf(tensor.dtype, tensor.dims).SerializeAsString(), message);
  if (tensor.size > 0) {
    AppendBorrowed(
        v1::Tensor::kDataFieldNumber,
        {.data = tensor.data, .data_bytes = tensor.size, .owner = task},
        message);
  }
  AppendMessage(field_number, std::move(message), reply);
}

void AppendTop(const AttentionTaskPtr& task, Reply& reply) {
  const AttentionPlan& plan = task->plan();
  const Geometry& g = plan.geometry;
  const Dims dims{g.batch_size, g.num_q_heads, g.q_len, plan.output.top_k};
  Reply top;
  AppendTensor(v1::TopWeights::kIndicesFieldNumber,
               {task->top_indices(), plan.top_bytes, DataType::kI32, dims},
               task, top);
  AppendTensor(
      v1::TopWeights::kProbabilitiesFieldNumber,
      {task->top_probabilities(), plan.top_bytes, DataType::kF32, dims}, task,
      top);
  AppendMessage(v1::AttendResponse::kTopFieldNumber, std::move(top), reply);
}

void AppendOutput(const AttendOutcome& outcome, Reply& reply) {
  const AttentionPlan& plan = outcome.task->plan();
  constexpr int kField = v1::AttendResponse::kOutputFieldNumber;
  if (!outcome.shared_output.has_value()) {
    return AppendTensor(kField,
                        {outcome.task->output(), plan.output_bytes,
                         plan.output_dtype, OutputDims(plan)},
                        outcome.task, reply);
  }
  v1::Tensor header = HeaderOf(plan.output_dtype, OutputDims(plan));
  header.mutable_shared()->set_region_id(outcome.shared_output->region_id);
  header.mutable_shared()->set_offset(outcome.shared_output->offset);
  header.mutable_shared()->set_size(static_cast<uint64_t>(plan.output_bytes));
  Reply message;
  AppendText(header.SerializeAsString(), message);
  AppendMessage(kField, std::move(message), reply);
}

void AppendTensors(const AttendOutcome& outcome, Reply& reply) {
  const AttentionTaskPtr& task = outcome.task;
  const AttentionPlan& plan = task->plan();
  const Geometry& g = plan.geometry;
  using Response = v1::AttendResponse;
  AppendOutput(outcome, reply);
  if (plan.output.return_lse) {
    AppendTensor(Response::kLseFieldNumber,
                 {task->lse(),
                  plan.lse_bytes,
                  DataType::kF32,
                  {g.batch_size, g.num_q_heads, g.q_len}},
                 task, reply);
  }
  if (plan.output.weights != WeightsMode::kNone) {
    AppendTensor(Response::kWeightsFieldNumber,
                 {task->weights(),
                  plan.weights_bytes,
                  DataType::kF32,
                  {g.batch_size, g.num_q_heads, g.q_len, g.kv_len}},
                 task, reply);
  }
  if (plan.output.top_k > 0) AppendTop(task, reply);
}

std::string RequestIdField(const std::string& request_id) {
  v1::AttendResponse response;
  response.set_request_id(request_id);
  return response.SerializeAsString();
}

std::string ClosingFields(const AttendOutcome& outcome) {
  v1::AttendResponse response;
  const AttentionPlan& plan = outcome.task->plan();
  if (plan.has_session) {
    response.set_session_length(static_cast<uint64_t>(plan.geometry.kv_len));
  }
  v1::Timing& timing = *response.mutable_timing();
  const TaskTimes& times = outcome.task->times();
  timing.set_queue_ns(static_cast<uint64_t>(times.queue_wait.count()));
  timing.set_compute_ns(static_cast<uint64_t>(times.compute.count()));
  timing.set_total_ns(static_cast<uint64_t>(outcome.total_time.count()));
  timing.set_batch_size(static_cast<uint32_t>(outcome.task->batch_size()));
  return response.SerializeAsString();
}

}  // namespace

Dims OutputDims(const AttentionPlan& plan) {
  const Geometry& g = plan.geometry;
  switch (plan.layout) {
    case Layout::kBSHD:
      return {g.batch_size, g.q_len, g.num_q_heads, g.value_head_dim};
    case Layout::kBSE:
      return {g.batch_size, g.q_len, g.num_q_heads * g.value_head_dim};
    default:
      return {g.batch_size, g.num_q_heads, g.q_len, g.value_head_dim};
  }
}

Reply EncodeResponse(const AttendOutcome& outcome) {
  Reply reply;
  AppendText(RequestIdField(outcome.request_id), reply);
  AppendTensors(outcome, reply);
  AppendText(ClosingFields(outcome), reply);
  return reply;
}

Reply EncodeResult(const AttendOutcome& outcome) {
  v1::AttendResult head;
  head.mutable_status()->set_code(static_cast<int>(outcome.status.code()));
  head.mutable_status()->set_message(PublicMessage(outcome.status));
  Reply reply;
  AppendText(head.SerializeAsString(), reply);
  Reply response;
  if (outcome.status.ok()) {
    response = EncodeResponse(outcome);
  } else {
    AppendText(RequestIdField(outcome.request_id), response);
  }
  AppendMessage(v1::AttendResult::kResponseFieldNumber, std::move(response),
                reply);
  return reply;
}

Reply EncodeBatchResponse(const std::vector<AttendOutcome>& outcomes) {
  Reply reply;
  for (const AttendOutcome& outcome : outcomes) {
    AppendMessage(v1::AttendBatchResponse::kResultsFieldNumber,
                  EncodeResult(outcome), reply);
  }
  return reply;
}

}  // namespace attn
