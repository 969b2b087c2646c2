// The rules of a request that attends to a session; part of ValidateRequest
// (validate.h).
#pragma once

#include <cstdint>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/attention/attention_plan.h"
#include "core/attention/request_spec.h"

namespace attn {

// The layer that a request attends to, as its session has it.
struct SessionLayer {
  int64_t num_kv_heads = 0;
  int64_t head_dim = 0;
  int64_t value_head_dim = 0;
  int64_t past_len = 0;  // Tokens before this call's append.
  int64_t window = 0;    // 0: off.
};

// FAILED_PRECONDITION / SPEC_MISMATCH unless `what` of a field, e.g. "'s
// head_dim", is the session's.
absl::Status CheckFitsSession(std::string_view field, std::string_view what,
                              int64_t found, int64_t expected);

// Keys and values to append: both or neither, B 1, any float dtypes, and the
// session's heads and dims. Returns their number of tokens.
// FAILED_PRECONDITION / SPEC_MISMATCH where they do not fit the session.
absl::StatusOr<int64_t> CheckAppend(const RequestSpec& spec,
                                    const SessionLayer& layer);

// The sizes of a query of B 1 over the layer after the append. Errors as above,
// and those of num_q_heads.
absl::StatusOr<Geometry> CheckSessionShapes(const RequestSpec& spec,
                                            const SessionLayer& layer,
                                            int64_t num_appended);

}  // namespace attn
