// Test cases (tests/support/attention_case.h) as client requests, and replies
// as outputs.
#pragma once

#include <cstdint>
#include <string>

#include "client/cpp/request.h"
#include "tests/support/attention_case.h"

namespace attn::test {

client::AttendRequest ToRequest(const AttentionCase& attention_case);

// Tokens [first, first + n) of the case, for a layer of a session that has the
// tokens before them. REQUIRES: as CutTokens.
client::AttendRequest ToSessionRequest(const AttentionCase& whole,
                                       int64_t first, int64_t n,
                                       const std::string& session_id,
                                       uint32_t layer = 0);

AttentionOutputs ToOutputs(const AttentionCase& attention_case,
                           const client::AttendResponse& response);

}  // namespace attn::test
