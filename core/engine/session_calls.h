// Calls on a layer of a session: append, and append with attend. Composes the
// KV cache with validation, admission and kernels.
//
// Everything that changes or looks at a layer happens here, under its lock, in
// the order of the calls. A task gets a snapshot of the pages, so that what is
// appended, truncated or deleted later never changes its answer.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "absl/status/statusor.h"
#include "core/attention/request_spec.h"
#include "core/attention/validate.h"
#include "core/engine/engine.h"
#include "core/engine/kv_ingest.h"
#include "core/kv_cache/session.h"

namespace attn {

// A layer of a session as validation sees it that finds `past_len` tokens.
SessionLayer SessionLayerOf(const KvSpec& spec, int64_t past_len);

// One call on a layer. Borrows the spec.
struct SessionCall {
  Session& session;
  int64_t layer = 0;
  std::optional<int64_t> expected_length;
  const RequestSpec& spec;
  // What there is to append; its number of tokens is set here.
  AppendKey append;
  KvTensors tensors;
};

// Appends the spec's key and value; params.rope turns the keys. `cos`, `sin`:
// bytes of its tables, or null. All or nothing. Returns the layer's length.
// Errors: INVALID_ARGUMENT; FAILED_PRECONDITION (SPEC_MISMATCH,
// LENGTH_MISMATCH, MAX_LENGTH); RESOURCE_EXHAUSTED (KV_MEMORY, QUOTA).
absl::StatusOr<int64_t> AppendTokens(SessionCall call, const std::byte* cos,
                                     const std::byte* sin);

// What a task needs beside the session.
struct TaskRequest {
  RequestLimits limits;
  SubmitOptions options;
  // May refuse a plan for the size of its reply.
  std::function<absl::Status(const AttentionPlan&)> check_reply;
  // Puts query, mask and tables into the task.
  std::function<void(AttentionTask&)> copy_inputs;
};

// Appends key and value, if there are any, and makes a task that attends to the
// layer as it is then. A request that is refused has appended nothing. Errors:
// as above, and Engine::Prepare's. The task is the session's tenant's.
absl::StatusOr<AttentionTaskPtr> PrepareSessionTask(Engine& engine,
                                                    SessionCall call,
                                                    const TaskRequest& request);

}  // namespace attn
