#include "server/stream_call.h"

#include <utility>

#include "core/base/error.h"
#include "grpcpp/server_context.h"
#include "server/attend_flow.h"
#include "server/byte_buffer.h"
#include "server/grpc_status.h"
#include "server/unary_call.h"

namespace attn {

StreamCall::StreamCall(const AttendContext& context, RpcMethod method,
                       Tenant& tenant, grpc::CallbackServerContext& call)
    : context_(context),
      tenant_(tenant),
      trace_(context, method, call),
      call_(call),
      deadline_(DeadlineOf(call, context.clock)),
      recorder_(context.metrics, method, context.clock) {}

void StreamCall::StartReading() {
  Next next;
  {
    absl::MutexLock lock(&mutex_);
    next = Decide();
  }
  Do(next);
}

StreamCall::Next StreamCall::Decide() {
  Next next;
  if (is_finished_) return next;
  const bool is_ending = is_broken_ || !end_status_.ok();
  if (is_ending) {
    results_.clear();
    order_.Clear();
  }
  const size_t in_flight = flows_.size() + order_.num_held() + results_.size();
  if (!is_reading_ && !reads_ended_ && !is_ending && in_flight < kMaxInFlight &&
      unsent_bytes_ < kMaxUnsentBytes) {
    next.read = is_reading_ = true;
  }
  if (!is_writing_ && !results_.empty()) {
    next.write = is_writing_ = true;
    outgoing_.Swap(&results_.front().bytes);
    results_.pop_front();
    unsent_bytes_ -= static_cast<int64_t>(outgoing_.Length());
  }
  // A stream that failed does not wait for what the client sends next.
  const bool is_idle =
      !is_writing_ && flows_.empty() && (!is_reading_ || !end_status_.ok());
  if (is_idle && (reads_ended_ || is_ending)) {
    next.finish = is_finished_ = true;
    next.status =
        is_broken_ ? absl::CancelledError("the client left") : end_status_;
    recorder_.Finish(static_cast<int>(next.status.code()));
  }
  return next;
}

void StreamCall::Do(const Next& next) {
  if (next.read) StartRead(&incoming_);
  if (next.write) StartWrite(&outgoing_);
  if (!next.finish) return;
  if (const auto pushback = RetryPushback(next.status)) {
    call_.AddTrailingMetadata("grpc-retry-pushback-ms", *pushback);
  }
  trace_.End(static_cast<int>(next.status.code()));
  Finish(ToGrpcStatus(next.status));
}

void StreamCall::OnReadDone(bool ok) {
  if (ok) RunIncoming();
  Next next;
  {
    absl::MutexLock lock(&mutex_);
    is_reading_ = false;
    reads_ended_ |= !ok;
    next = Decide();
  }
  Do(next);
}

void StreamCall::RunIncoming() {
  ReceivedMessage message(incoming_);
  incoming_.Clear();
  auto flow = std::make_shared<RequestFlow>(
      context_, RequestFlow::Arrival{.tenant = tenant_,
                                     .received = context_.clock.Now(),
                                     .deadline = deadline_,
                                     .trace_id = trace_.trace_id()});
  uint64_t id = 0;
  bool is_ending = false;
  {
    absl::MutexLock lock(&mutex_);
    if (is_finished_) return;
    recorder_.AddRequestBytes(message.bytes().size());
    id = next_id_++;
    flows_[id] = flow;
    is_ending = is_broken_ || !end_status_.ok();
  }
  if (is_ending) flow->Cancel();
  RunMessage(message.bytes(), id, *flow);
}

absl::Status StreamCall::CheckSize(const FragmentedBytes& bytes) const {
  if (bytes.size() <= context_.max_request_bytes) return absl::OkStatus();
  return TooLarge("the request", static_cast<double>(bytes.size()),
                  static_cast<double>(context_.max_request_bytes));
}

void StreamCall::Store(uint64_t id, Reply result) {
  const TimePoint start = context_.clock.Now();
  const int64_t bytes = ReplySize(result);
  OutgoingMessage message;
  message.bytes = ToByteBuffer(std::move(result));
  Next next;
  {
    absl::MutexLock lock(&mutex_);
    recorder_.AddResponseBytes(bytes);
    recorder_.ObserveSend(context_.clock.Now() - start);
    flows_.erase(id);
    unsent_bytes_ += bytes;
    order_.Add(id, std::move(message), results_);
    next = Decide();
  }
  Do(next);
}

void StreamCall::KeepOrder(uint64_t id, std::string_view lane) {
  absl::MutexLock lock(&mutex_);
  order_.Expect(id, lane);
}

void StreamCall::End(uint64_t id, const absl::Status& status) {
  Flows flows;
  Next next;
  {
    absl::MutexLock lock(&mutex_);
    flows_.erase(id);
    if (end_status_.ok()) end_status_ = status;
    flows = AllFlows();
    next = Decide();
  }
  Do(next);
  for (const auto& flow : flows) flow->Cancel();
}

StreamCall::Flows StreamCall::AllFlows() const {
  Flows flows;
  for (const auto& [id, flow] : flows_) flows.push_back(flow);
  return flows;
}

void StreamCall::OnWriteDone(bool ok) {
  Next next;
  {
    absl::MutexLock lock(&mutex_);
    is_writing_ = false;
    is_broken_ |= !ok;
    next = Decide();
  }
  Do(next);
}

void StreamCall::OnCancel() {
  Flows flows;
  Next next;
  {
    absl::MutexLock lock(&mutex_);
    is_broken_ = true;
    flows = AllFlows();
    next = Decide();
  }
  Do(next);
  for (const auto& flow : flows) flow->Cancel();
}

AttendStreamCall::AttendStreamCall(const AttendContext& context, Tenant& tenant,
                                   grpc::CallbackServerContext& call)
    : StreamCall(context, RpcMethod::kAttendStream, tenant, call) {
  StartReading();
}

void AttendStreamCall::RunMessage(FragmentedBytes& bytes, uint64_t id,
                                  RequestFlow& flow) {
  const TimePoint start = context_.clock.Now();
  const absl::Status fits = CheckSize(bytes);
  DecodedRequest decoded =
      DecodeRequest({bytes, context_.shared_memory}, bytes.whole());
  if (decoded.session.has_value()) KeepOrder(id, decoded.session->session_id);
  if (!fits.ok()) {
    RecordRefusal(context_, fits, trace_.trace_id());
    return Store(
        id, EncodeResult({.status = fits, .request_id = decoded.request_id}));
  }
  RunDecoded(flow, bytes, std::move(decoded), start,
             [this, id](const AttendOutcome& outcome) {
               trace_.Observe(outcome.times());
               Store(id, EncodeResult(outcome));
             });
}

}  // namespace attn
