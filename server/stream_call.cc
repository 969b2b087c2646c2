#include "server/stream_call.h"

#include <utility>

#include "core/base/error.h"
#include "grpcpp/server_context.h"
#include "server/byte_buffer.h"
#include "server/grpc_status.h"
#include "server/unary_calls.h"

namespace attn {

StreamCall::StreamCall(const AttendContext& context, const Kind& kind,
                       Tenant& tenant, grpc::CallbackServerContext& call)
    : context_(context),
      tenant_(tenant),
      trace_(context, kind.method, call),
      call_(call),
      deadline_(DeadlineOf(call, context.clock)),
      order_(kind.order),
      recorder_(context.metrics, kind.method, context.clock) {}

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
    early_results_.clear();
  }
  const size_t in_flight =
      flows_.size() + early_results_.size() + results_.size();
  if (!is_reading_ && !reads_ended_ && !is_ending && in_flight < kMaxInFlight &&
      unsent_bytes_ < kMaxUnsentBytes) {
    next.read = is_reading_ = true;
  }
  if (!is_writing_ && !results_.empty()) {
    next.write = is_writing_ = true;
    outgoing_.Swap(&results_.front());
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
  auto flow = std::make_shared<AttendFlow>(
      context_, AttendFlow::Arrival{.tenant = tenant_,
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
  grpc::ByteBuffer buffer = ToByteBuffer(std::move(result));
  Next next;
  {
    absl::MutexLock lock(&mutex_);
    recorder_.AddResponseBytes(bytes);
    recorder_.ObserveSend(context_.clock.Now() - start);
    flows_.erase(id);
    early_results_[id].Swap(&buffer);
    unsent_bytes_ += bytes;
    QueueResults();
    next = Decide();
  }
  Do(next);
}

void StreamCall::QueueResults() {
  while (!early_results_.empty()) {
    const auto first = early_results_.begin();
    if (order_ == Order::kAsTheyCame && first->first != next_result_) return;
    results_.emplace_back().Swap(&first->second);
    early_results_.erase(first);
    ++next_result_;
  }
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
    : StreamCall(context, {RpcMethod::kAttendStream, Order::kAsTheyFinish},
                 tenant, call) {
  StartReading();
}

void AttendStreamCall::RunMessage(FragmentedBytes& bytes, uint64_t id,
                                  AttendFlow& flow) {
  if (const absl::Status status = CheckSize(bytes); !status.ok()) {
    RecordRefusal(context_, status, trace_.trace_id());
    return Store(
        id,
        EncodeResult(
            {.status = status,
             .request_id = DecodeRequest({bytes}, bytes.whole()).request_id}));
  }
  flow.Run(bytes, bytes.whole(), [this, id](const AttendOutcome& outcome) {
    trace_.Observe(outcome);
    Store(id, EncodeResult(outcome));
  });
}

}  // namespace attn
