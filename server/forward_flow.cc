#include "server/forward_flow.h"

#include <utility>
#include <vector>

#include "core/base/status_macros.h"
#include "server/append_key.h"

namespace attn {
namespace {

// What Prepare made of a request.
struct Prepared {
  ForwardJobPtr job;
  // Null: none.
  SessionPtr session = {};
  // Deleted with an answer that is OK, and with one that is not.
  SessionPtr ending_session = {};
  SessionPtr begun_session = {};
};

absl::StatusOr<SessionPtr> SessionOf(const RequestFlow& flow,
                                     const AttentionLayer& layer,
                                     SessionTarget target) {
  if (target.start.has_value()) {
    target.start->num_kv_heads = layer.num_kv_heads;
    target.start->head_dim = target.start->value_head_dim = layer.head_dim;
  }
  return flow.SessionOf(target);
}

// A new session takes the place of a living one. What it could not append is
// refused before: pages are taken, and given back until the request's turn.
absl::Status Begin(const RequestFlow& flow, const DecodedForward& decoded,
                   const SessionPtr& session) {
  const SessionTarget& target = *decoded.session;
  const ForwardSpec& spec = decoded.spec;
  const TensorSpec& tokens =
      spec.context.is_present ? spec.context : spec.hidden;
  {
    const Session::LayerGuard layer = session->Lock(target.layer);
    ATTN_RETURN_IF_ERROR(layer
                             ->BeginAppend({.num_tokens = tokens.dims[1]},
                                           target.expected_length)
                             .status());
  }
  return flow.context().sessions.Replace(session);
}

absl::StatusOr<Prepared> Prepare(const RequestFlow& flow, LayerStore& layers,
                                 const FragmentedBytes& bytes,
                                 const DecodedForward& decoded) {
  ATTN_RETURN_IF_ERROR(decoded.status);
  const AttendContext& context = flow.context();
  ForwardRequest request{
      .spec = decoded.spec,
      .hidden = ReaderOf(bytes, decoded.places.hidden),
      .context = ReaderOf(bytes, decoded.places.context),
      .attn_mask = ReaderOf(bytes, decoded.places.attn_mask),
      .limits = context.limits,
      .options = flow.Options(decoded.priority, decoded.timeout),
      .check_reply = [&flow](int64_t size) { return flow.TakeReply(size); }};
  ATTN_ASSIGN_OR_RETURN(request.layer, layers.Find(decoded.layer));
  if (decoded.session.has_value()) {
    const SessionTarget& target = *decoded.session;
    ATTN_ASSIGN_OR_RETURN(request.session,
                          SessionOf(flow, *request.layer, target));
    request.session_layer = target.layer;
    request.expected_length = target.expected_length;
    request.append = HashForward(bytes, decoded);
  }
  const SessionPtr session = request.session;
  ATTN_ASSIGN_OR_RETURN(ForwardJobPtr job,
                        PrepareForward(context.engine, std::move(request)));
  Prepared prepared{.job = std::move(job), .session = session};
  if (session == nullptr) return prepared;
  if (decoded.session->ends) prepared.ending_session = session;
  if (decoded.session->start.has_value()) {
    ATTN_RETURN_IF_ERROR(Begin(flow, decoded, session));
    prepared.begun_session = session;
  }
  return prepared;
}

}  // namespace

void RunForward(RequestFlow& flow, LayerStore& layers, FragmentedBytes& bytes,
                ByteRange range, ForwardOutcomeDone done, ForwardLanes* lanes) {
  const TimePoint start = flow.context().clock.Now();
  RunReceived(
      flow, layers,
      {.bytes = bytes,
       .decoded = DecodeForward({bytes, flow.context().shared_memory}, range),
       .start = start},
      std::move(done), lanes);
}

void RunReceived(RequestFlow& flow, LayerStore& layers,
                 ReceivedForward received, ForwardOutcomeDone done,
                 ForwardLanes* lanes) {
  DecodedForward& decoded = received.decoded;
  absl::StatusOr<Prepared> prepared =
      Prepare(flow, layers, received.bytes, decoded);
  if (!prepared.ok()) {
    flow.RecordRefusal(prepared.status());
    return done({.status = prepared.status(),
                 .request_id = std::move(decoded.request_id)});
  }
  const Duration receive_time = flow.context().clock.Now() - received.start;
  flow.context().metrics.MessageReceived(receive_time);
  const std::shared_ptr<RequestFlow> self = flow.shared_from_this();
  ForwardSubmission submission{
      .job = prepared->job,
      .done = [self, done = std::move(done),
               ending = std::move(prepared->ending_session),
               begun = std::move(prepared->begun_session),
               outcome = ForwardOutcome{
                   .request_id = std::move(decoded.request_id),
                   .job = prepared->job,
                   .receive_time = receive_time}](ForwardJob&) mutable {
        outcome.status = outcome.job->status();
        self->Ended(outcome.status);
        if (const SessionPtr& gone = outcome.status.ok() ? ending : begun;
            gone != nullptr) {
          self->context().sessions.End(gone);
        }
        outcome.total_time = self->age();
        done(std::move(outcome));
      }};
  if (lanes != nullptr) {
    lanes->Add(self, prepared->session, std::move(submission));
  } else {
    SubmitForward(submission.job, std::move(submission.done));
    flow.Submitted(prepared->job);
  }
}

}  // namespace attn
