#include "core/engine/session_calls.h"

#include <utility>

#include "core/attention/validate_rope.h"
#include "core/base/status_macros.h"

namespace attn {
namespace {

// Takes pages for what there is to append. The lengths are settled by this, so
// it comes before the rules that need them.
absl::StatusOr<KvAppend> BeginAppend(SessionCall& call, KvLayer& layer) {
  ATTN_ASSIGN_OR_RETURN(
      call.append.num_tokens,
      CheckAppend(call.spec,
                  SessionLayerOf(call.session.spec(), layer.length())));
  return layer.BeginAppend(call.append, call.expected_length);
}

// The key side of a plan, for an append alone.
absl::StatusOr<AttentionPlan> PlanAppend(const SessionCall& call,
                                         const SessionLayer& layer) {
  AttentionPlan plan;
  plan.dtype = call.spec.key.dtype;
  plan.has_session = true;
  plan.past_len = layer.past_len;
  plan.geometry = {.batch_size = 1,
                   .num_q_heads = layer.num_kv_heads,
                   .num_kv_heads = layer.num_kv_heads,
                   .q_len = 0,
                   .kv_len = layer.past_len + call.append.num_tokens,
                   .head_dim = layer.head_dim,
                   .value_head_dim = layer.value_head_dim};
  ATTN_RETURN_IF_ERROR(PlanRope(call.spec, plan));
  return plan;
}

void WriteAndCommit(const SessionCall& call, const RopePlan& rope,
                    const std::byte* cos, const std::byte* sin,
                    KvAppend& append) {
  if (!append.is_repeat()) {
    std::optional<KeyTurns> turns;
    if (rope.is_on()) turns.emplace(rope, cos, sin);
    WriteTokens(call.tensors, call.session.format(),
                turns.has_value() ? &*turns : nullptr, append);
  }
  append.Commit();
}

}  // namespace

SessionLayer SessionLayerOf(const KvSpec& spec, int64_t past_len) {
  return {.num_kv_heads = spec.num_kv_heads,
          .head_dim = spec.head_dim,
          .value_head_dim = spec.value_head_dim,
          .past_len = past_len,
          .window = spec.window};
}

absl::StatusOr<int64_t> AppendTokens(SessionCall call, const std::byte* cos,
                                     const std::byte* sin) {
  ATTN_RETURN_IF_ERROR(CheckAppendAlone(call.spec));
  ATTN_RETURN_IF_ERROR(call.session.CheckLayer(call.layer, "session.layer"));
  const Session::LayerGuard layer = call.session.Lock(call.layer);
  ATTN_ASSIGN_OR_RETURN(KvAppend append, BeginAppend(call, *layer));
  ATTN_ASSIGN_OR_RETURN(
      const AttentionPlan plan,
      PlanAppend(call, SessionLayerOf(call.session.spec(), append.start())));
  WriteAndCommit(call, plan.rope, cos, sin, append);
  return layer->length();
}

absl::StatusOr<AttentionTaskPtr> PrepareSessionTask(
    Engine& engine, SessionCall call, const TaskRequest& request) {
  ATTN_RETURN_IF_ERROR(call.session.CheckLayer(call.layer, "session.layer"));
  const Session::LayerGuard layer = call.session.Lock(call.layer);
  ATTN_ASSIGN_OR_RETURN(KvAppend append, BeginAppend(call, *layer));
  ATTN_ASSIGN_OR_RETURN(
      AttentionPlan plan,
      ValidateSessionRequest(
          call.spec, SessionLayerOf(call.session.spec(), append.start()),
          request.limits));
  ATTN_RETURN_IF_ERROR(request.check_reply(plan));
  SubmitOptions options = request.options;
  options.tenant = &call.session.tenant();
  ATTN_ASSIGN_OR_RETURN(AttentionTaskPtr task,
                        engine.Prepare(std::move(plan), options));
  request.copy_inputs(*task);
  WriteAndCommit(call, task->plan().rope, task->cos(), task->sin(), append);
  task->Attach(layer->Snapshot());
  return task;
}

}  // namespace attn
