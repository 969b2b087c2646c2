#include "server/request_flow.h"

#include <algorithm>
#include <string>
#include <utility>

#include "core/base/error.h"

namespace attn {
namespace {

// The class of failures that share a log line.
std::string FailureClass(const absl::Status& status) {
  const std::string_view reason = ReasonName(ReasonOf(status));
  return reason.empty() ? absl::StatusCodeToString(status.code())
                        : std::string(reason);
}

void Report(const AttendContext& context, const absl::Status& status,
            std::string_view trace_id) {
  if (status.ok() || absl::IsCancelled(status)) return;
  const auto message = status.message();
  const std::string_view text(message.data(), message.size());
  const std::string failure_class = FailureClass(status);
  if (trace_id.empty()) return context.failure_log.Report(failure_class, text);
  context.failure_log.Report(failure_class, text, {{"trace_id", trace_id}});
}

}  // namespace

void RecordRefusal(const AttendContext& context, const absl::Status& status,
                   std::string_view trace_id) {
  context.engine.CountRefusal(status);
  Report(context, status, trace_id);
}

absl::Status ReplyBudget::Take(int64_t bytes) {
  absl::MutexLock lock(&mutex_);
  if (bytes <= left_bytes_) {
    left_bytes_ -= bytes;
    return absl::OkStatus();
  }
  return TooLarge("the message's replies together",
                  static_cast<double>(max_bytes_ - left_bytes_ + bytes),
                  static_cast<double>(max_bytes_));
}

RequestFlow::RequestFlow(const AttendContext& context, const Arrival& arrival)
    : context_(context), arrival_(arrival) {}

SubmitOptions RequestFlow::Options(Priority priority, Duration timeout) const {
  SubmitOptions options{.priority = priority,
                        .deadline = arrival_.deadline,
                        .tenant = &arrival_.tenant};
  if (timeout > Duration::zero()) {
    options.deadline = std::min(options.deadline, arrival_.received + timeout);
  }
  return options;
}

absl::Status RequestFlow::TakeReply(int64_t bytes) const {
  if (arrival_.budget == nullptr) return absl::OkStatus();
  return arrival_.budget->Take(bytes);
}

absl::StatusOr<SessionPtr> RequestFlow::SessionOf(
    const SessionTarget& target) const {
  return target.start.has_value()
             ? context_.sessions.Build(arrival_.tenant, target.session_id,
                                       *target.start)
             : context_.sessions.Use(arrival_.tenant, target.session_id);
}

void RequestFlow::RecordRefusal(const absl::Status& status) const {
  attn::RecordRefusal(context_, status, arrival_.trace_id);
}

void RequestFlow::Submitted(Work work) {
  {
    absl::MutexLock lock(&mutex_);
    if (is_ended_) return;
    work_ = work;
    if (!is_cancelled_) return;
  }
  CancelWork(work);
}

void RequestFlow::Ended(const absl::Status& status) {
  {
    absl::MutexLock lock(&mutex_);
    is_ended_ = true;
    work_ = {};
  }
  Report(context_, status, arrival_.trace_id);
}

void RequestFlow::Cancel() {
  Work work;
  {
    absl::MutexLock lock(&mutex_);
    is_cancelled_ = true;
    work = work_;
  }
  CancelWork(work);
}

void RequestFlow::CancelWork(const Work& work) const {
  if (const auto* task = std::get_if<AttentionTaskPtr>(&work)) {
    context_.engine.Cancel(*task);
  } else if (const auto* job = std::get_if<ForwardJobPtr>(&work)) {
    CancelForward(*job);
  }
}

}  // namespace attn
