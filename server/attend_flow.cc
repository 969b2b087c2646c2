#include "server/attend_flow.h"

#include <algorithm>
#include <string>
#include <utility>

#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/engine/session_calls.h"
#include "server/append_key.h"

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
  if (bytes <= left_bytes_) {
    left_bytes_ -= bytes;
    return absl::OkStatus();
  }
  return TooLarge("the message's replies together",
                  static_cast<double>(max_bytes_ - left_bytes_ + bytes),
                  static_cast<double>(max_bytes_));
}

AttendFlow::AttendFlow(const AttendContext& context, const Arrival& arrival)
    : context_(context), arrival_(arrival) {}

void AttendFlow::Run(FragmentedBytes& bytes, ByteRange range, Done done) {
  const TimePoint start = context_.clock.Now();
  RunDecoded(bytes, DecodeRequest({bytes, context_.shared_memory}, range),
             start, std::move(done));
}

void AttendFlow::RunDecoded(const FragmentedBytes& bytes,
                            DecodedRequest decoded, TimePoint start,
                            Done done) {
  absl::StatusOr<AttentionTaskPtr> task = Prepare(bytes, decoded);
  if (!task.ok()) {
    Refuse(task.status(), std::move(decoded.request_id), done);
    return;
  }
  const Duration receive_time = context_.clock.Now() - start;
  context_.metrics.MessageReceived(receive_time);
  Submit({.request_id = std::move(decoded.request_id),
          .task = *std::move(task),
          .shared_output = std::move(decoded.shared_output),
          .receive_time = receive_time},
         std::move(done));
}

absl::StatusOr<AttentionTaskPtr> AttendFlow::Prepare(
    const FragmentedBytes& bytes, const DecodedRequest& decoded) {
  ATTN_RETURN_IF_ERROR(decoded.status);
  if (decoded.session.has_value()) return PrepareOnSession(bytes, decoded);
  ATTN_ASSIGN_OR_RETURN(AttentionPlan plan,
                        ValidateRequest(decoded.spec, context_.limits));
  ATTN_RETURN_IF_ERROR(CheckReply(decoded, plan));
  ATTN_ASSIGN_OR_RETURN(
      AttentionTaskPtr task,
      context_.engine.Prepare(std::move(plan), OptionsOf(decoded)));
  CopyTensors(bytes, decoded.places, *task);
  return task;
}

absl::StatusOr<AttentionTaskPtr> AttendFlow::PrepareOnSession(
    const FragmentedBytes& bytes, const DecodedRequest& decoded) {
  const SessionTarget& target = *decoded.session;
  ATTN_ASSIGN_OR_RETURN(const SessionPtr session, SessionOf(target));
  const TaskRequest request{
      .limits = context_.limits,
      .options = OptionsOf(decoded),
      .check_reply =
          [&](const AttentionPlan& plan) { return CheckReply(decoded, plan); },
      .copy_inputs =
          [&](AttentionTask& task) {
            CopyTensors(bytes, decoded.places, task);
          }};
  ATTN_ASSIGN_OR_RETURN(
      AttentionTaskPtr task,
      PrepareSessionTask(context_.engine,
                         MakeSessionCall(*session, target, bytes, decoded.spec,
                                         decoded.places),
                         request));
  // Only now: what was refused has neither begun nor ended a session.
  if (target.start.has_value()) {
    ATTN_RETURN_IF_ERROR(context_.sessions.Replace(session));
  }
  if (target.ends) ending_session_ = session;
  return task;
}

absl::StatusOr<SessionPtr> AttendFlow::SessionOf(const SessionTarget& target) {
  return target.start.has_value()
             ? context_.sessions.Build(arrival_.tenant, target.session_id,
                                       *target.start)
             : context_.sessions.Use(arrival_.tenant, target.session_id);
}

SubmitOptions AttendFlow::OptionsOf(const DecodedRequest& decoded) const {
  SubmitOptions options{.priority = decoded.priority,
                        .deadline = arrival_.deadline,
                        .tenant = &arrival_.tenant};
  if (decoded.timeout > Duration::zero()) {
    options.deadline =
        std::min(options.deadline, arrival_.received + decoded.timeout);
  }
  return options;
}

absl::Status AttendFlow::CheckReply(const DecodedRequest& decoded,
                                    const AttentionPlan& plan) {
  ATTN_RETURN_IF_ERROR(CheckSharedOutput(decoded, plan));
  if (arrival_.budget == nullptr) return absl::OkStatus();
  return arrival_.budget->Take(plan.reply_bytes());
}

void AttendFlow::Refuse(absl::Status status, std::string request_id,
                        const Done& done) {
  RecordRefusal(context_, status, arrival_.trace_id);
  done({.status = std::move(status), .request_id = std::move(request_id)});
}

void AttendFlow::Submit(AttendOutcome accepted, Done done) {
  const AttentionTaskPtr task = accepted.task;
  {
    absl::MutexLock lock(&mutex_);
    task_ = task;
  }
  auto finish = [self = shared_from_this(), done = std::move(done),
                 outcome = std::move(accepted)](AttentionTask&) mutable {
    {
      absl::MutexLock lock(&self->mutex_);
      self->task_ = nullptr;
    }
    outcome.status = outcome.task->status();
    Report(self->context_, outcome.status, self->arrival_.trace_id);
    if (outcome.status.ok()) CopySharedOutput(outcome);
    if (outcome.status.ok() && self->ending_session_ != nullptr) {
      self->context_.sessions.End(self->ending_session_);
    }
    outcome.total_time = self->context_.clock.Now() - self->arrival_.received;
    done(std::move(outcome));
  };
  if (arrival_.together != nullptr && task->plan().has_session) {
    arrival_.together->push_back({task, std::move(finish)});
  } else {
    context_.engine.Submit(task, std::move(finish));
  }
  // A cancellation that came before the task had its place in the queue.
  bool is_cancelled = false;
  {
    absl::MutexLock lock(&mutex_);
    is_cancelled = is_cancelled_;
  }
  if (is_cancelled) context_.engine.Cancel(task);
}

void AttendFlow::Cancel() {
  AttentionTaskPtr task;
  {
    absl::MutexLock lock(&mutex_);
    is_cancelled_ = true;
    task = task_;
  }
  if (task != nullptr) context_.engine.Cancel(task);
}

}  // namespace attn
