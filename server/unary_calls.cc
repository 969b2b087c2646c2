#include "server/unary_calls.h"

#include <utility>

#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "grpcpp/server_context.h"
#include "server/byte_buffer.h"
#include "server/grpc_status.h"

namespace attn {
TimePoint DeadlineOf(const grpc::CallbackServerContext& call,
                     const Clock& clock) {
  const auto deadline = call.deadline();
  if (deadline == std::chrono::system_clock::time_point::max()) {
    return kNoDeadline;
  }
  const Duration left = deadline - std::chrono::system_clock::now();
  // gRPC turns far deadlines into very large ones; they must not wrap.
  constexpr Duration kFar = std::chrono::hours(24 * 365);
  return left > kFar ? kNoDeadline : clock.Now() + left;
}

UnaryCall::UnaryCall(const AttendContext& context, RpcMethod method,
                     Tenant& tenant, grpc::CallbackServerContext& call)
    : context_(context),
      tenant_(tenant),
      call_(call),
      received_(context.clock.Now()),
      recorder_(context.metrics, method, context.clock),
      trace_(context, method, call) {}

absl::Status UnaryCall::CheckArrival(int64_t bytes) {
  recorder_.AddRequestBytes(bytes);
  if (bytes == 0 && arrival().deadline <= received_) {
    return MakeError(absl::StatusCode::kDeadlineExceeded,
                     Reason::kDeadlineUnreachable,
                     "the deadline passed on arrival");
  }
  if (bytes == 0 && call_.IsCancelled()) {
    return absl::CancelledError("the client went away");
  }
  if (bytes <= context_.max_request_bytes) return absl::OkStatus();
  return TooLarge("the request", static_cast<double>(bytes),
                  static_cast<double>(context_.max_request_bytes));
}

AttendFlow::Arrival UnaryCall::arrival() const {
  return {.tenant = tenant_,
          .received = received_,
          .deadline = DeadlineOf(call_, context_.clock),
          .trace_id = trace_.trace_id()};
}

void UnaryCall::RefuseWith(const absl::Status& status) {
  if (!absl::IsCancelled(status)) {
    RecordRefusal(context_, status, trace_.trace_id());
  }
  FinishWith(status);
}

void UnaryCall::FinishWith(const absl::Status& status) {
  if (const auto pushback = RetryPushback(status)) {
    call_.AddTrailingMetadata("grpc-retry-pushback-ms", *pushback);
  }
  recorder_.Finish(static_cast<int>(status.code()));
  trace_.End(static_cast<int>(status.code()));
  Finish(ToGrpcStatus(status));
}

void UnaryCall::FinishWith(attn::Reply reply, grpc::ByteBuffer& response) {
  const TimePoint start = context_.clock.Now();
  const int64_t bytes = ReplySize(reply);
  response = ToByteBuffer(std::move(reply));
  recorder_.AddResponseBytes(bytes);
  recorder_.ObserveSend(context_.clock.Now() - start);
  recorder_.Finish(0);
  trace_.End(0);
  Finish(grpc::Status::OK);
}

AttendCall::AttendCall(const AttendContext& context, Tenant& tenant,
                       grpc::CallbackServerContext& call,
                       grpc::ByteBuffer& response)
    : UnaryCall(context, RpcMethod::kAttend, tenant, call),
      response_(response),
      flow_(std::make_shared<AttendFlow>(context, arrival())) {}

void AttendCall::Run(const grpc::ByteBuffer& request) {
  ReceivedMessage message(request);
  if (const absl::Status status = CheckArrival(message.bytes().size());
      !status.ok()) {
    return RefuseWith(status);
  }
  // `this` may be gone once the flow runs: the reply can be faster.
  flow_->Run(message.bytes(), message.bytes().whole(),
             [this](const AttendOutcome& outcome) { Reply(outcome); });
}

void AttendCall::Reply(const AttendOutcome& outcome) {
  trace_.Observe(outcome);
  if (!outcome.status.ok()) return FinishWith(outcome.status);
  FinishWith(EncodeResponse(outcome), response_);
}

AttendBatchCall::AttendBatchCall(const AttendContext& context, Tenant& tenant,
                                 grpc::CallbackServerContext& call,
                                 grpc::ByteBuffer& response)
    : UnaryCall(context, RpcMethod::kAttendBatch, tenant, call),
      response_(response) {}

void AttendBatchCall::Run(const grpc::ByteBuffer& request) {
  ReceivedMessage message(request);
  const absl::Status arrived = CheckArrival(message.bytes().size());
  const absl::StatusOr<std::vector<ByteRange>> ranges =
      arrived.ok() ? DecodeBatch(message.bytes()) : arrived;
  if (!ranges.ok()) return RefuseWith(ranges.status());
  outcomes_.resize(ranges->size());
  left_ += ranges->size();
  ReplyBudget budget(context_.limits.max_reply_bytes);
  AttendFlow::Arrival item = arrival();
  item.budget = &budget;
  std::vector<Engine::Submission> together;
  item.together = &together;
  for (size_t i = 0; i < ranges->size(); ++i) {
    flows_.push_back(std::make_shared<AttendFlow>(context_, item));
  }
  for (size_t i = 0; i < ranges->size(); ++i) {
    flows_[i]->Run(
        message.bytes(), (*ranges)[i],
        [this, i](AttendOutcome outcome) { Store(i, std::move(outcome)); });
  }
  context_.engine.SubmitTogether(std::move(together));
  CountDown();
}

void AttendBatchCall::Store(size_t index, AttendOutcome outcome) {
  trace_.Observe(outcome);
  outcomes_[index] = std::move(outcome);
  CountDown();
}

void AttendBatchCall::CountDown() {
  if (left_.fetch_sub(1) > 1) return;
  FinishWith(EncodeBatchResponse(outcomes_), response_);
}

void AttendBatchCall::OnCancel() {
  for (const auto& flow : flows_) flow->Cancel();
}

}  // namespace attn
