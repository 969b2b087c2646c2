// The small fields that requests share, in core's terms.
#pragma once

#include "absl/status/status.h"
#include "attn/v1/attention.pb.h"
#include "core/attention/params.h"
#include "server/wire_codec.h"

namespace attn {

OutputOptions ReadOutputOptions(const v1::OutputOptions& wire);

SessionTarget ReadSessionRef(const v1::SessionRef& wire);

// What no spec has a place for: an id that is too long, a priority that is
// none. INVALID_ARGUMENT.
absl::Status CheckEnvelope(const std::string& request_id,
                           v1::Priority priority);

}  // namespace attn
