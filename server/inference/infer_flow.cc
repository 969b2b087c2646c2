#include "server/inference/infer_flow.h"

#include <utility>

#include "server/inference/infer_response.h"

namespace attn {
namespace {

// Counts what became of a request, and encodes its response.
Reply Conclude(const InferenceContext& context,
               const InferReplyOptions& options, const AttendOutcome& outcome,
               TimePoint received) {
  const Clock& clock = context.attend.clock;
  const TimePoint start = clock.Now();
  if (!outcome.status.ok()) {
    context.statistics.Failed(options.model, start - received);
    return {};
  }
  Reply response = EncodeInferResponse(outcome, options);
  const TimePoint end = clock.Now();
  context.statistics.Succeeded(options.model, outcome, end - received,
                               end - start);
  return response;
}

}  // namespace

void RunInfer(const InferenceContext& context, const FragmentedBytes& message,
              TimePoint received, AttendFlow& flow, InferDone done) {
  const TimePoint start = context.attend.clock.Now();
  DecodedInfer decoded = DecodeInfer(message);
  flow.RunDecoded(
      decoded.bytes, std::move(decoded.request), start,
      [&context, received, has_model = decoded.has_model,
       options = std::move(decoded.reply),
       done = std::move(done)](const AttendOutcome& outcome) {
        // Of a request for no model there is nothing to count or to encode.
        done(outcome, has_model ? Conclude(context, options, outcome, received)
                                : Reply{});
      });
}

}  // namespace attn
