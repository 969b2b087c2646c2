#include "server/stream_call.h"

#include <utility>
#include <vector>

#include "core/base/error.h"
#include "server/byte_buffer.h"
#include "server/unary_calls.h"

namespace attn {

AttendStreamCall::AttendStreamCall(const AttendContext& context,
                                   grpc::CallbackServerContext& call)
    : context_(context),
      deadline_(DeadlineOf(call, context.clock)),
      recorder_(context.metrics, RpcMethod::kAttendStream, context.clock) {
  Next next;
  {
    absl::MutexLock lock(&mutex_);
    next = Decide();
  }
  Do(next);
}

AttendStreamCall::Next AttendStreamCall::Decide() {
  Next next;
  const size_t in_flight = flows_.size() + results_.size();
  if (is_broken_) results_.clear();
  if (!is_reading_ && !reads_ended_ && !is_broken_ &&
      in_flight < kMaxInFlight && unsent_bytes_ < kMaxUnsentBytes) {
    next.read = is_reading_ = true;
  }
  if (!is_writing_ && !results_.empty()) {
    next.write = is_writing_ = true;
    outgoing_.Swap(&results_.front());
    results_.pop_front();
    unsent_bytes_ -= static_cast<int64_t>(outgoing_.Length());
  }
  const bool is_idle = !is_reading_ && !is_writing_ && flows_.empty();
  if (is_idle && (reads_ended_ || is_broken_) && !is_finished_) {
    next.finish = is_finished_ = true;
    recorder_.Finish(is_broken_ ? grpc::CANCELLED : grpc::OK);
  }
  return next;
}

void AttendStreamCall::Do(const Next& next) {
  if (next.read) StartRead(&incoming_);
  if (next.write) StartWrite(&outgoing_);
  if (next.finish) Finish(grpc::Status::OK);
}

void AttendStreamCall::OnReadDone(bool ok) {
  if (ok) RunMessage();
  Next next;
  {
    absl::MutexLock lock(&mutex_);
    is_reading_ = false;
    reads_ended_ |= !ok;
    next = Decide();
  }
  Do(next);
}

void AttendStreamCall::RunMessage() {
  ReceivedMessage message(incoming_);
  incoming_.Clear();
  const int64_t bytes = message.bytes().size();
  auto flow = std::make_shared<AttendFlow>(
      context_, AttendFlow::Arrival{.received = context_.clock.Now(),
                                    .deadline = deadline_});
  uint64_t id = 0;
  bool is_broken = false;
  {
    absl::MutexLock lock(&mutex_);
    recorder_.AddRequestBytes(bytes);
    id = next_id_++;
    flows_[id] = flow;
    is_broken = is_broken_;
  }
  if (is_broken) flow->Cancel();
  if (bytes > context_.max_request_bytes) {
    const absl::Status status =
        TooLarge("the request", static_cast<double>(bytes),
                 static_cast<double>(context_.max_request_bytes));
    RecordRefusal(context_, status);
    return Store(id, {.status = status,
                      .request_id = DecodeRequest({message.bytes()},
                                                  message.bytes().whole())
                                        .request_id});
  }
  flow->Run(message.bytes(), message.bytes().whole(),
            [this, id](const AttendOutcome& outcome) { Store(id, outcome); });
}

void AttendStreamCall::Store(uint64_t id, const AttendOutcome& outcome) {
  const TimePoint start = context_.clock.Now();
  Reply reply = EncodeResult(outcome);
  const int64_t bytes = ReplySize(reply);
  grpc::ByteBuffer result = ToByteBuffer(std::move(reply));
  Next next;
  {
    absl::MutexLock lock(&mutex_);
    recorder_.AddResponseBytes(bytes);
    recorder_.ObserveSend(context_.clock.Now() - start);
    flows_.erase(id);
    results_.push_back(std::move(result));
    unsent_bytes_ += bytes;
    next = Decide();
  }
  Do(next);
}

void AttendStreamCall::OnWriteDone(bool ok) {
  Next next;
  {
    absl::MutexLock lock(&mutex_);
    is_writing_ = false;
    is_broken_ |= !ok;
    next = Decide();
  }
  Do(next);
}

void AttendStreamCall::OnCancel() {
  std::vector<std::shared_ptr<AttendFlow>> flows;
  Next next;
  {
    absl::MutexLock lock(&mutex_);
    is_broken_ = true;
    for (const auto& [id, flow] : flows_) flows.push_back(flow);
    next = Decide();
  }
  Do(next);
  for (const auto& flow : flows) flow->Cancel();
}

}  // namespace attn
