#include "server/call_trace.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "grpcpp/server_context.h"
#include "server/trace_context.h"

namespace attn {
namespace {

constexpr char kTraceparent[] = "traceparent";
constexpr char kServerTiming[] = "server-timing";

// What the client sent, if it is good; of two neither is.
std::optional<TraceContext> ReadTraceparent(
    const grpc::CallbackServerContext& call) {
  const auto& metadata = call.client_metadata();
  const auto found = metadata.find(kTraceparent);
  if (found == metadata.end() || metadata.count(kTraceparent) > 1) {
    return std::nullopt;
  }
  return ParseTraceparent({found->second.data(), found->second.size()});
}

}  // namespace

struct CallTrace::State {
  // Of a call that came with `sent`.
  State(const AttendContext& context_of_call, RpcMethod method_of_call,
        grpc::CallbackServerContext& traced_call, TraceContext sent)
      : context(context_of_call),
        method(method_of_call),
        call(traced_call),
        received(context.clock.Now()),
        parent_id(std::exchange(sent.span_id, SpanId(context.random()))),
        own(std::move(sent)) {}

  const AttendContext& context;
  const RpcMethod method;
  grpc::CallbackServerContext& call;
  const TimePoint received;
  const std::string parent_id;
  const TraceContext own;

  absl::Mutex mutex;
  StageTimes times ABSL_GUARDED_BY(mutex);
};

CallTrace::CallTrace(const AttendContext& context, RpcMethod method,
                     grpc::CallbackServerContext& call)
    : state_([&]() -> std::unique_ptr<State> {
        std::optional<TraceContext> sent = ReadTraceparent(call);
        if (!sent.has_value()) return nullptr;
        return std::make_unique<State>(context, method, call, *std::move(sent));
      }()) {}

CallTrace::~CallTrace() = default;

std::string_view CallTrace::trace_id() const {
  return state_ == nullptr ? std::string_view() : state_->own.trace_id;
}

void CallTrace::Observe(const TaskTimes* times) {
  if (state_ == nullptr || times == nullptr) return;
  absl::MutexLock lock(&state_->mutex);
  StageTimes& longest = state_->times;
  longest.queue = std::max(longest.queue, times->queue_wait);
  longest.compute = std::max(longest.compute, times->compute);
}

void CallTrace::End(int grpc_code) {
  if (state_ == nullptr) return;
  std::string timing;
  {
    absl::MutexLock lock(&state_->mutex);
    state_->times.total = state_->context.clock.Now() - state_->received;
    timing = FormatServerTiming(state_->times);
  }
  state_->call.AddTrailingMetadata(kTraceparent,
                                   FormatTraceparent(state_->own));
  state_->call.AddTrailingMetadata(kServerTiming, timing);
  const RpcMethodFacts& facts = FactsOf(state_->method);
  state_->context.log.Debug("call ended", {{"service", facts.service},
                                           {"method", facts.method},
                                           {"code", GrpcCodeName(grpc_code)},
                                           {"trace_id", state_->own.trace_id},
                                           {"parent_id", state_->parent_id},
                                           {"span_id", state_->own.span_id},
                                           {"timing", timing}});
}

}  // namespace attn
