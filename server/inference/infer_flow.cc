#include "server/inference/infer_flow.h"

#include <utility>

#include "server/attend_flow.h"
#include "server/forward_flow.h"
#include "server/inference/infer_request.h"
#include "server/inference/served_model.h"

namespace attn {
namespace {

// The end of a request, when it has come to an AttendOutcome or ForwardOutcome.
class Conclusion {
 public:
  Conclusion(const InferenceContext& context, TimePoint received,
             DecodedInfer& decoded, InferDone done)
      : context_(context),
        received_(received),
        has_model_(decoded.has_model),
        options_(std::move(decoded.reply)),
        done_(std::move(done)) {}

  template <typename Outcome>
  void operator()(const Outcome& outcome) const {
    // Of a request for no model there is nothing to count or to encode.
    done_({.status = outcome.status,
           .request_id = outcome.request_id,
           .times = outcome.times(),
           .response = has_model_ ? Conclude(outcome) : Reply{}});
  }

 private:
  // Counts what became of a request, and encodes its response.
  template <typename Outcome>
  Reply Conclude(const Outcome& outcome) const {
    const Clock& clock = context_.attend.clock;
    const TimePoint start = clock.Now();
    ModelStatistics& statistics = context_.statistics;
    if (!outcome.status.ok()) {
      statistics.Failed(options_.model_name, start - received_);
      return {};
    }
    Reply response = EncodeInferResponse(outcome, options_);
    const TimePoint end = clock.Now();
    statistics.Succeeded(options_.model_name, outcome, end - received_,
                         end - start);
    return response;
  }

  const InferenceContext& context_;
  const TimePoint received_;
  const bool has_model_;
  const InferReplyOptions options_;
  const InferDone done_;
};

// Nobody but the store knows which models of layers there are.
void CheckLayer(const LayerStore& layers, DecodedInfer& decoded) {
  const absl::Status found =
      FindServed(layers, decoded.reply.model_name, kModelVersion).status();
  if (found.ok()) return;
  decoded.forward.status = found;
  decoded.has_model = false;
}

}  // namespace

void RunInfer(const InferenceContext& context, const FragmentedBytes& message,
              TimePoint received, RequestFlow& flow, InferDone done,
              ForwardLanes* lanes) {
  const TimePoint start = context.attend.clock.Now();
  DecodedInfer decoded = DecodeInfer(message);
  if (decoded.reply.model != InferModel::kLayer) {
    const Conclusion conclusion(context, received, decoded, std::move(done));
    return RunDecoded(flow, decoded.bytes, std::move(decoded.request), start,
                      conclusion);
  }
  CheckLayer(context.layers, decoded);
  const Conclusion conclusion(context, received, decoded, std::move(done));
  RunReceived(flow, context.layers,
              {.bytes = decoded.bytes,
               .decoded = std::move(decoded.forward),
               .start = start},
              conclusion, lanes);
}

}  // namespace attn
