#include "server/unary_call.h"

#include <utility>

#include "core/base/error.h"
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

RequestFlow::Arrival UnaryCall::arrival() const {
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

}  // namespace attn
