// One request's way through an attention layer: project, attend, project.
//
//   hidden  [B, q_len, hidden_dim]  --W_Q--> query --+
//   context [B, kv_len, hidden_dim] --W_K--> key ----+-> attention
//   (or hidden)                     --W_V--> value --+
//   attention --W_O--> output
//
// Life: PrepareForward admits it as a whole and takes its memory; SubmitForward
// queues its projection, whose end queues the attention, whose end queues the
// output's projection, whose end calls `done`. Tokens of all waiting jobs of a
// layer share each projection's products (projection_batch.h); the bytes of the
// answer are those of the request alone.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "core/attention/validate.h"
#include "core/engine/engine.h"
#include "core/engine/forward_plan.h"
#include "core/engine/kv_ingest.h"
#include "core/engine/projection_task.h"
#include "core/kv_cache/session.h"
#include "core/kv_cache/session_store.h"
#include "core/layer/attention_layer.h"

namespace attn {

struct ForwardRequest {
  AttentionLayerPtr layer = {};
  ForwardSpec spec = {};
  // Where the bytes of the spec's tensors are read from, before PrepareForward
  // returns.
  ReadBytes hidden = {};
  ReadBytes context = {};
  ReadBytes attn_mask = {};
  // Null: stateless.
  SessionPtr session = {};
  int64_t session_layer = 0;
  std::optional<int64_t> expected_length = {};
  // Tells what is appended from anything else that might be: a hash of the
  // layer's name, of dtypes, shapes and bytes, and of the positions. Its number
  // of tokens is set here.
  AppendKey append = {};

  RequestLimits limits = {};
  SubmitOptions options = {};
  // May refuse a reply of so many bytes; asked again, for what comes on top,
  // when a session's turn has come and shows that there are more. What it
  // borrows must live until the job is done.
  std::function<absl::Status(int64_t)> check_reply = {};
};

class ForwardJob;
// Called once, as Engine::Done is.
using ForwardDone = std::function<void(ForwardJob&)>;

// Thread-compatible; the engine orders who touches it when.
class ForwardJob : public std::enable_shared_from_this<ForwardJob> {
 public:
  // How it ended; constant once done.
  const absl::Status& status() const { return status_; }

  // The results; meaningful once done with an OK status, as long as the job.
  // [B, q_len, output_dim] of output_dtype().
  const std::byte* output() const { return reply_.data(); }
  DataType output_dtype() const { return plan_.output_dtype; }
  int64_t output_bytes() const { return plan_.output_bytes; }
  Dims output_dims() const {
    return {plan_.batch_size, plan_.q_len, request_.layer->output_dim};
  }
  // Its lse, weights and top keys are the request's; its plan has the session's
  // length.
  const AttentionTask& attention() const { return *attention_; }

  const TaskTimes& times() const { return times_; }
  // Of the batch in which hidden was projected.
  int64_t batch_size() const { return batch_size_; }

 private:
  friend absl::StatusOr<std::shared_ptr<ForwardJob>> PrepareForward(
      Engine& engine, ForwardRequest request);
  friend void SubmitForwardTogether(
      std::vector<struct ForwardSubmission> submissions);
  friend void CancelForward(const std::shared_ptr<ForwardJob>& job);

  ForwardJob(Engine& engine, ForwardRequest request, ForwardPlan plan);

  // Preparing, in this order.
  absl::StatusOr<AttentionPlan> PlanAttention();
  absl::Status CheckReply(const AttentionPlan& attention);
  TaskFacts Facts() const;
  absl::Status TakeMemory();
  void CopyTensors();

  // The steps, each on the worker that ended the one before.
  TaskSubmission ProjectInputs();
  std::optional<TaskSubmission> InputsAreProjected(EngineTask& step);
  std::optional<TaskSubmission> Attend();
  std::optional<TaskSubmission> HasAttended(EngineTask& step);
  void OutputIsProjected(EngineTask& step);

  ProjectedParts InputParts() const;
  TaskSubmission ProjectionStep(ProjectedParts parts, TaskNext next);
  absl::StatusOr<AttentionTaskPtr> PrepareOnSession();
  // The step that may be cancelled from now on; nothing if the job is
  // cancelled.
  std::optional<TaskSubmission> Start(TaskSubmission step);
  void End(absl::Status status, Outcome outcome);

  Engine& engine_;
  ForwardRequest request_;
  const ForwardPlan plan_;
  std::optional<AttentionPlan> attention_plan_;  // Without a session.
  int64_t reply_bytes_ = 0;  // That check_reply was asked for.
  TaskFacts facts_;
  AdmissionTicket ticket_;
  ForwardDone done_;

  // Hidden and context as f32, the mask; with a session also query, key and
  // value. Given back when the output is there.
  PooledBuffer work_;
  struct {
    float* hidden = nullptr;
    float* context = nullptr;
    float* query = nullptr;
    float* key = nullptr;
    float* value = nullptr;
    float* output = nullptr;
    std::byte* mask = nullptr;
  } at_;
  PooledBuffer reply_;
  AttentionTaskPtr attention_;

  absl::Mutex mutex_;
  bool is_cancelled_ ABSL_GUARDED_BY(mutex_) = false;
  EngineTaskPtr step_ ABSL_GUARDED_BY(mutex_);  // Null: none is queued.

  absl::Status status_;
  TaskTimes times_;
  TimePoint start_time_{};
  int64_t batch_size_ = 0;
};
using ForwardJobPtr = std::shared_ptr<ForwardJob>;

// Errors: as ValidateRequest's and Engine::Prepare's, with the fields of
// attn.v1.ForwardRequest. What only shows when the session's turn comes
// (expected_length, its length and memory) is the job's status.
absl::StatusOr<ForwardJobPtr> PrepareForward(Engine& engine,
                                             ForwardRequest request);

void SubmitForward(const ForwardJobPtr& job, ForwardDone done);

// The same for several whose projections shall share products.
struct ForwardSubmission {
  ForwardJobPtr job;
  ForwardDone done;
};
void SubmitForwardTogether(std::vector<ForwardSubmission> submissions);

// The client left: the job ends with its next work item at the latest. No
// effect on one that is done.
void CancelForward(const ForwardJobPtr& job);

}  // namespace attn
