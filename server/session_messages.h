// SessionService's messages to core's terms and back.
#pragma once

#include "absl/status/statusor.h"
#include "attn/v1/session.pb.h"
#include "core/kv_cache/session.h"

namespace attn {

// INVALID_ARGUMENT for numbers that core's types cannot hold.
absl::StatusOr<KvSpec> ToKvSpec(const v1::SessionSpec& spec);

// Times are the wall clock's, counted back from now.
v1::Session ToWire(Session& session, TimePoint now);

}  // namespace attn
