// The reply side of server/wire_codec.h.
#include <utility>

#include "attn/v1/attention.pb.h"
#include "server/reply_fields.h"
#include "server/wire_codec.h"

namespace attn {
namespace {

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
  const AttentionTask& task = *outcome.task;
  Reply reply;
  AppendText(RequestIdField(outcome.request_id), reply);
  AppendOutput(outcome, reply);
  AppendAttention(task, outcome.task, reply);
  AppendText(ToWire({.task = task,
                     .times = task.times(),
                     .total_time = outcome.total_time,
                     .batch_size = task.batch_size()}),
             reply);
  return reply;
}

Reply EncodeResult(const AttendOutcome& outcome) {
  return EncodeItem(outcome.status, outcome.request_id,
                    outcome.status.ok() ? EncodeResponse(outcome) : Reply{});
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
