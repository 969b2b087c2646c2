// The reactor of a message with many requests; each ends for itself, the call
// when all have.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "server/byte_buffer.h"
#include "server/unary_call.h"
#include "server/wire_codec.h"

namespace attn {

// Outcome: AttendOutcome or ForwardOutcome.
template <typename Outcome>
class BatchCall : public UnaryCall {
 public:
  BatchCall(const AttendContext& context, RpcMethod method, Tenant& tenant,
            grpc::CallbackServerContext& call, grpc::ByteBuffer& response)
      : UnaryCall(context, method, tenant, call),
        response_(response),
        budget_(context.limits.max_reply_bytes) {}

  void Run(const grpc::ByteBuffer& request) {
    ReceivedMessage message(request);
    const absl::Status arrived = CheckArrival(message.bytes().size());
    const absl::StatusOr<std::vector<ByteRange>> ranges =
        arrived.ok() ? DecodeBatch(message.bytes()) : arrived;
    if (!ranges.ok()) return RefuseWith(ranges.status());
    outcomes_.resize(ranges->size());
    left_ += ranges->size();
    RequestFlow::Arrival item = arrival();
    item.budget = &budget_;
    for (size_t i = 0; i < ranges->size(); ++i) {
      flows_.push_back(std::make_shared<RequestFlow>(context_, item));
    }
    Start(message.bytes(), *ranges);
    CountDown();
  }

  void OnCancel() override {
    for (const auto& flow : flows_) flow->Cancel();
  }

 protected:
  using Flows = std::vector<std::shared_ptr<RequestFlow>>;

  // Starts the request in each range, with the flow of its index and
  // StoreAt(its index).
  virtual void Start(FragmentedBytes& bytes,
                     const std::vector<ByteRange>& ranges) = 0;

  const Flows& flows() const { return flows_; }
  // Takes what became of request `index`.
  std::function<void(Outcome)> StoreAt(size_t index) {
    return [this, index](Outcome outcome) {
      trace_.Observe(outcome.times());
      outcomes_[index] = std::move(outcome);
      CountDown();
    };
  }

 private:
  void CountDown() {
    if (left_.fetch_sub(1) > 1) return;
    FinishWith(EncodeBatchResponse(outcomes_), response_);
  }

  grpc::ByteBuffer& response_;
  ReplyBudget budget_;
  // Constant once Run began to start them; shared with the engine's callbacks.
  Flows flows_;
  std::vector<Outcome> outcomes_;
  // Requests that are not done, and one for Run itself.
  std::atomic<size_t> left_{1};
};

}  // namespace attn
