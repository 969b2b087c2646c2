// One call's W3C trace: read from the metadata `traceparent`, named in the log
// lines about the call, and answered in trailing metadata, as `traceparent`
// with a span id of the server's own and as `server-timing`. tracestate is the
// client's alone: it is not looked at. A call without traceparent costs a look
// into its metadata.
#pragma once

#include <memory>
#include <string_view>

#include "server/request_flow.h"
#include "server/rpc_method.h"

namespace grpc {
class CallbackServerContext;
}

namespace attn {

// Thread-safe, but for End.
class CallTrace {
 public:
  // Borrows both, which must outlive it.
  CallTrace(const AttendContext& context, RpcMethod method,
            grpc::CallbackServerContext& call);
  ~CallTrace();
  CallTrace(const CallTrace&) = delete;
  CallTrace& operator=(const CallTrace&) = delete;

  // Empty: the call has none that is good.
  std::string_view trace_id() const;

  // One of the call's requests has ended; null: without having been queued.
  void Observe(const TaskTimes* times);

  // Puts the answer into the trailing metadata, and a line into the log at
  // level debug. Once, right before the reactor's Finish.
  void End(int grpc_code);

 private:
  struct State;

  const std::unique_ptr<State> state_;  // Null: no trace.
};

}  // namespace attn
