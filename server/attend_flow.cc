#include "server/attend_flow.h"

#include <memory>
#include <utility>

#include "core/base/status_macros.h"
#include "core/engine/session_calls.h"
#include "server/append_key.h"

namespace attn {
namespace {

// What Prepare made of a request.
struct Prepared {
  AttentionTaskPtr task;
  // Ends with the request.
  SessionPtr ending_session;
};

absl::Status CheckReply(const RequestFlow& flow, const DecodedRequest& decoded,
                        const AttentionPlan& plan) {
  ATTN_RETURN_IF_ERROR(CheckSharedOutput(decoded, plan));
  return flow.TakeReply(plan.reply_bytes());
}

absl::StatusOr<Prepared> PrepareOnSession(const RequestFlow& flow,
                                          const FragmentedBytes& bytes,
                                          const DecodedRequest& decoded) {
  const AttendContext& context = flow.context();
  const SessionTarget& target = *decoded.session;
  ATTN_ASSIGN_OR_RETURN(const SessionPtr session, flow.SessionOf(target));
  const TaskRequest request{
      .limits = context.limits,
      .options = flow.Options(decoded.priority, decoded.timeout),
      .check_reply =
          [&](const AttentionPlan& plan) {
            return CheckReply(flow, decoded, plan);
          },
      .copy_inputs =
          [&](AttentionTask& task) {
            CopyTensors(bytes, decoded.places, task);
          }};
  ATTN_ASSIGN_OR_RETURN(
      AttentionTaskPtr task,
      PrepareSessionTask(context.engine,
                         MakeSessionCall(*session, target, bytes, decoded.spec,
                                         decoded.places),
                         request));
  // Only now: what was refused has neither begun nor ended a session.
  if (target.start.has_value()) {
    ATTN_RETURN_IF_ERROR(context.sessions.Replace(session));
  }
  return Prepared{.task = std::move(task),
                  .ending_session = target.ends ? session : nullptr};
}

absl::StatusOr<Prepared> Prepare(const RequestFlow& flow,
                                 const FragmentedBytes& bytes,
                                 const DecodedRequest& decoded) {
  ATTN_RETURN_IF_ERROR(decoded.status);
  if (decoded.session.has_value()) {
    return PrepareOnSession(flow, bytes, decoded);
  }
  ATTN_ASSIGN_OR_RETURN(AttentionPlan plan,
                        ValidateRequest(decoded.spec, flow.context().limits));
  ATTN_RETURN_IF_ERROR(CheckReply(flow, decoded, plan));
  ATTN_ASSIGN_OR_RETURN(
      AttentionTaskPtr task,
      flow.context().engine.Prepare(
          std::move(plan), flow.Options(decoded.priority, decoded.timeout)));
  CopyTensors(bytes, decoded.places, *task);
  return Prepared{.task = std::move(task), .ending_session = nullptr};
}

// `accepted`: what is known of the outcome by now.
void Submit(RequestFlow& flow, AttendOutcome accepted,
            SessionPtr ending_session, AttendDone done, Together* together) {
  const AttentionTaskPtr task = accepted.task;
  auto finish = [self = flow.shared_from_this(), done = std::move(done),
                 ending_session = std::move(ending_session),
                 outcome = std::move(accepted)](EngineTask&) mutable {
    outcome.status = outcome.task->status();
    self->Ended(outcome.status);
    if (outcome.status.ok()) CopySharedOutput(outcome);
    if (outcome.status.ok() && ending_session != nullptr) {
      self->context().sessions.End(ending_session);
    }
    outcome.total_time = self->age();
    done(std::move(outcome));
  };
  if (together != nullptr && task->plan().has_session) {
    together->push_back({task, std::move(finish)});
  } else {
    flow.context().engine.Submit(task, std::move(finish));
  }
  flow.Submitted(task);
}

}  // namespace

void RunAttend(RequestFlow& flow, FragmentedBytes& bytes, ByteRange range,
               AttendDone done, Together* together) {
  const TimePoint start = flow.context().clock.Now();
  RunDecoded(flow, bytes,
             DecodeRequest({bytes, flow.context().shared_memory}, range), start,
             std::move(done), together);
}

void RunDecoded(RequestFlow& flow, const FragmentedBytes& bytes,
                DecodedRequest decoded, TimePoint start, AttendDone done,
                Together* together) {
  absl::StatusOr<Prepared> prepared = Prepare(flow, bytes, decoded);
  if (!prepared.ok()) {
    flow.RecordRefusal(prepared.status());
    return done({.status = prepared.status(),
                 .request_id = std::move(decoded.request_id)});
  }
  const Duration receive_time = flow.context().clock.Now() - start;
  flow.context().metrics.MessageReceived(receive_time);
  Submit(flow,
         {.request_id = std::move(decoded.request_id),
          .task = std::move(prepared->task),
          .shared_output = std::move(decoded.shared_output),
          .receive_time = receive_time},
         std::move(prepared->ending_session), std::move(done), together);
}

}  // namespace attn
