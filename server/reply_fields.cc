#include "server/reply_fields.h"

#include <utility>

#include "attn/v1/attention.pb.h"
#include "attn/v1/layer.pb.h"
#include "core/base/error.h"

namespace attn {
namespace {

using Attend = v1::AttendResponse;
using Forward = v1::ForwardResponse;
static_assert(int{Attend::kRequestIdFieldNumber} ==
              Forward::kRequestIdFieldNumber);
static_assert(int{Attend::kLseFieldNumber} == Forward::kLseFieldNumber);
static_assert(int{Attend::kWeightsFieldNumber} == Forward::kWeightsFieldNumber);
static_assert(int{Attend::kTopFieldNumber} == Forward::kTopFieldNumber);
static_assert(int{Attend::kSessionLengthFieldNumber} ==
              Forward::kSessionLengthFieldNumber);
static_assert(int{Attend::kTimingFieldNumber} == Forward::kTimingFieldNumber);
static_assert(int{v1::AttendResult::kStatusFieldNumber} ==
              v1::ForwardResult::kStatusFieldNumber);
static_assert(int{v1::AttendResult::kResponseFieldNumber} ==
              v1::ForwardResult::kResponseFieldNumber);

void AppendTop(const AttentionTask& task,
               const std::shared_ptr<const void>& owner, Reply& reply) {
  const AttentionPlan& plan = task.plan();
  const Geometry& g = plan.geometry;
  const Dims dims{g.batch_size, g.num_q_heads, g.q_len, plan.output.top_k};
  Reply top;
  AppendTensor(v1::TopWeights::kIndicesFieldNumber,
               {task.top_indices(), plan.top_bytes, DataType::kI32, dims},
               owner, top);
  AppendTensor(v1::TopWeights::kProbabilitiesFieldNumber,
               {task.top_probabilities(), plan.top_bytes, DataType::kF32, dims},
               owner, top);
  AppendMessage(Attend::kTopFieldNumber, std::move(top), reply);
}

}  // namespace

v1::Tensor HeaderOf(DataType dtype, const Dims& dims) {
  v1::Tensor header;
  header.set_dtype(static_cast<v1::DataType>(dtype));
  header.mutable_shape()->Add(dims.begin(), dims.end());
  return header;
}

void AppendTensor(int field_number, const TensorBytes& tensor,
                  const std::shared_ptr<const void>& owner, Reply& reply) {
  Reply message;
  AppendText(HeaderOf(tensor.dtype, tensor.dims).SerializeAsString(), message);
  if (tensor.size > 0) {
    AppendBorrowed(
        v1::Tensor::kDataFieldNumber,
        {.data = tensor.data, .data_bytes = tensor.size, .owner = owner},
        message);
  }
  AppendMessage(field_number, std::move(message), reply);
}

void AppendAttention(const AttentionTask& task,
                     const std::shared_ptr<const void>& owner, Reply& reply) {
  const AttentionPlan& plan = task.plan();
  const Geometry& g = plan.geometry;
  if (plan.output.return_lse) {
    AppendTensor(Attend::kLseFieldNumber,
                 {task.lse(),
                  plan.lse_bytes,
                  DataType::kF32,
                  {g.batch_size, g.num_q_heads, g.q_len}},
                 owner, reply);
  }
  if (plan.output.weights != WeightsMode::kNone) {
    AppendTensor(Attend::kWeightsFieldNumber,
                 {task.weights(),
                  plan.weights_bytes,
                  DataType::kF32,
                  {g.batch_size, g.num_q_heads, g.q_len, g.kv_len}},
                 owner, reply);
  }
  if (plan.output.top_k > 0) AppendTop(task, owner, reply);
}

std::string RequestIdField(const std::string& request_id) {
  Attend response;
  response.set_request_id(request_id);
  return response.SerializeAsString();
}

std::string ToWire(const ClosingFields& fields) {
  Attend response;
  const AttentionPlan& plan = fields.task.plan();
  if (plan.has_session) {
    response.set_session_length(static_cast<uint64_t>(plan.geometry.kv_len));
  }
  v1::Timing& timing = *response.mutable_timing();
  timing.set_queue_ns(static_cast<uint64_t>(fields.times.queue_wait.count()));
  timing.set_compute_ns(static_cast<uint64_t>(fields.times.compute.count()));
  timing.set_total_ns(static_cast<uint64_t>(fields.total_time.count()));
  timing.set_batch_size(static_cast<uint32_t>(fields.batch_size));
  return response.SerializeAsString();
}

Reply EncodeItem(const absl::Status& status, const std::string& request_id,
                 Reply response) {
  v1::AttendResult head;
  head.mutable_status()->set_code(static_cast<int>(status.code()));
  head.mutable_status()->set_message(PublicMessage(status));
  Reply reply;
  AppendText(head.SerializeAsString(), reply);
  if (!status.ok()) AppendText(RequestIdField(request_id), response);
  AppendMessage(v1::AttendResult::kResponseFieldNumber, std::move(response),
                reply);
  return reply;
}

}  // namespace attn
