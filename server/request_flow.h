// One request's stay in the server, whichever RPC it came in and whatever it
// asks for: whose it is, when it must be answered, and its end before its time.
// attend_flow.h and forward_flow.h say what is done with it. Knows no gRPC.
#pragma once

#include <functional>
#include <memory>
#include <string_view>
#include <variant>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "core/attention/validate.h"
#include "core/engine/engine.h"
#include "core/engine/forward_job.h"
#include "core/kv_cache/session_store.h"
#include "server/failure_log.h"
#include "server/prometheus_metrics.h"
#include "server/shared_memory.h"
#include "server/wire_codec.h"

namespace attn {

// What every request needs. Borrowed; all must outlive the requests.
struct AttendContext {
  Engine& engine;
  const Clock& clock;
  PrometheusMetrics& metrics;
  const Log& log;
  FailureLog& failure_log;
  SessionStore& sessions;
  // Null: no memory is shared.
  const SharedMemory* shared_memory = nullptr;
  int64_t max_request_bytes = 0;
  RequestLimits limits;
  // For ids of spans. Thread-safe.
  std::function<uint64_t()> random{};
};

// Books and logs a request that is refused at the door. `trace_id`: of the call
// that it came in, if that is traced (call_trace.h).
void RecordRefusal(const AttendContext& context, const absl::Status& status,
                   std::string_view trace_id = {});

// What the replies of one message may hold together. Thread-safe: requests on
// sessions take from it when their turn comes, too.
class ReplyBudget {
 public:
  explicit ReplyBudget(int64_t max_bytes)
      : max_bytes_(max_bytes), left_bytes_(max_bytes) {}

  // RESOURCE_EXHAUSTED / REQUEST_TOO_LARGE when less is left.
  absl::Status Take(int64_t bytes);

 private:
  const int64_t max_bytes_;
  absl::Mutex mutex_;
  int64_t left_bytes_ ABSL_GUARDED_BY(mutex_);
};

// Thread-safe. Shared by the RPC that may cancel it and by the engine's
// callback.
class RequestFlow : public std::enable_shared_from_this<RequestFlow> {
 public:
  struct Arrival {
    // Whose request it is.
    Tenant& tenant;
    TimePoint received;
    TimePoint deadline = kNoDeadline;
    // Of the message that the request came in, if others came with it; must
    // live until the request is done.
    ReplyBudget* budget = nullptr;
    // As in RecordRefusal; must live until the request is done.
    std::string_view trace_id{};
  };
  // What runs for the request in the engine.
  using Work = std::variant<std::monostate, AttentionTaskPtr, ForwardJobPtr>;

  RequestFlow(const AttendContext& context, const Arrival& arrival);

  // The client left. At any time.
  void Cancel();

  const AttendContext& context() const { return context_; }
  const Arrival& arrival() const { return arrival_; }

  // `timeout`: from arrival, beside the call's deadline; 0: none.
  SubmitOptions Options(Priority priority, Duration timeout) const;
  absl::Status TakeReply(int64_t bytes) const;
  // The tenant's session that lives, or one that the target starts, which
  // nobody finds until SessionStore::Replace. Errors: Use's, or Build's.
  absl::StatusOr<SessionPtr> SessionOf(const SessionTarget& target) const;
  void RecordRefusal(const absl::Status& status) const;

  // The request was given to the engine, where it is cancelled from now on; at
  // once, if Cancel came before.
  void Submitted(Work work);
  // How it ended there. Before or after Submitted has returned.
  void Ended(const absl::Status& status);

  // Message received to now.
  Duration age() const { return context_.clock.Now() - arrival_.received; }

 private:
  void CancelWork(const Work& work) const;

  const AttendContext& context_;
  const Arrival arrival_;

  absl::Mutex mutex_;
  bool is_cancelled_ ABSL_GUARDED_BY(mutex_) = false;
  bool is_ended_ ABSL_GUARDED_BY(mutex_) = false;
  Work work_ ABSL_GUARDED_BY(mutex_);  // None once ended.
};

}  // namespace attn
