// One request's way through the server, whichever RPC it came in: decode,
// validate, admit, copy, queue, and back as an outcome. Knows no gRPC.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "core/attention/validate.h"
#include "core/engine/engine.h"
#include "core/kv_cache/session_store.h"
#include "server/failure_log.h"
#include "server/fragmented_bytes.h"
#include "server/prometheus_metrics.h"
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

// What the replies of one message may hold together. Thread-compatible: taken
// from while its requests are started one after another.
class ReplyBudget {
 public:
  explicit ReplyBudget(int64_t max_bytes)
      : max_bytes_(max_bytes), left_bytes_(max_bytes) {}

  // RESOURCE_EXHAUSTED / REQUEST_TOO_LARGE when less is left.
  absl::Status Take(int64_t bytes);

 private:
  const int64_t max_bytes_;
  int64_t left_bytes_;
};

// Thread-safe. Shared by the RPC that may cancel it and by the engine's
// callback.
class AttendFlow : public std::enable_shared_from_this<AttendFlow> {
 public:
  // Called exactly once; on the thread of Run when the request is refused, else
  // on a worker. Must not block.
  using Done = std::function<void(AttendOutcome)>;

  struct Arrival {
    // Whose request it is.
    Tenant& tenant;
    TimePoint received;
    TimePoint deadline = kNoDeadline;
    // Of the message that the request came in, if others came with it; must
    // live until Run returns.
    ReplyBudget* budget = nullptr;
    // Where tasks on sessions wait for the others of their message, which the
    // caller submits together: forks of one prefix are read once then. Null:
    // they are submitted at once, as all others are.
    std::vector<Engine::Submission>* together = nullptr;
    // As above; must live until the request is done.
    std::string_view trace_id{};
  };

  AttendFlow(const AttendContext& context, const Arrival& arrival);

  // Runs the AttendRequest in `range`, whose tensors are copied before this
  // returns.
  void Run(FragmentedBytes& bytes, ByteRange range, Done done);

  // The same for a request that was decoded since `start`, whatever message it
  // came in.
  void RunDecoded(const FragmentedBytes& bytes, DecodedRequest decoded,
                  TimePoint start, Done done);

  // The client left. Before, during or after Run.
  void Cancel();

 private:
  absl::StatusOr<AttentionTaskPtr> Prepare(const FragmentedBytes& bytes,
                                           const DecodedRequest& decoded);
  absl::StatusOr<AttentionTaskPtr> PrepareOnSession(
      const FragmentedBytes& bytes, const DecodedRequest& decoded);
  absl::StatusOr<SessionPtr> SessionOf(const SessionTarget& target);
  SubmitOptions OptionsOf(const DecodedRequest& decoded) const;
  absl::Status CheckReply(const DecodedRequest& decoded,
                          const AttentionPlan& plan);
  void Refuse(absl::Status status, std::string request_id, const Done& done);
  // `accepted`: what is known of the outcome by then.
  void Submit(AttendOutcome accepted, Done done);

  const AttendContext& context_;
  const Arrival arrival_;
  SessionPtr ending_session_;  // Constant once submitted.

  absl::Mutex mutex_;
  bool is_cancelled_ ABSL_GUARDED_BY(mutex_) = false;
  // From Submit until done; null otherwise.
  AttentionTaskPtr task_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace attn
