// The reply side of server/forward_codec.h.
#include <utility>

#include "attn/v1/layer.pb.h"
#include "server/forward_codec.h"
#include "server/reply_fields.h"

namespace attn {
namespace {

TensorBytes OutputOf(const ForwardJob& job) {
  return {job.output(), job.output_bytes(), job.output_dtype(),
          job.output_dims()};
}

}  // namespace

Reply EncodeResponse(const ForwardOutcome& outcome) {
  const ForwardJob& job = *outcome.job;
  Reply reply;
  AppendText(RequestIdField(outcome.request_id), reply);
  AppendTensor(v1::ForwardResponse::kOutputFieldNumber, OutputOf(job),
               outcome.job, reply);
  AppendAttention(job.attention(), outcome.job, reply);
  AppendText(ToWire({.task = job.attention(),
                     .times = job.times(),
                     .total_time = outcome.total_time,
                     .batch_size = job.batch_size()}),
             reply);
  return reply;
}

Reply EncodeResult(const ForwardOutcome& outcome) {
  return EncodeItem(outcome.status, outcome.request_id,
                    outcome.status.ok() ? EncodeResponse(outcome) : Reply{});
}

Reply EncodeBatchResponse(const std::vector<ForwardOutcome>& outcomes) {
  Reply reply;
  for (const ForwardOutcome& outcome : outcomes) {
    AppendMessage(v1::ForwardBatchResponse::kResultsFieldNumber,
                  EncodeResult(outcome), reply);
  }
  return reply;
}

}  // namespace attn
