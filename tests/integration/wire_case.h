// Test cases (tests/support/attention_case.h) as client requests, and replies
// as outputs.
#pragma once

#include "client/cpp/request.h"
#include "tests/support/attention_case.h"

namespace attn::test {

client::AttendRequest ToRequest(const AttentionCase& attention_case);

AttentionOutputs ToOutputs(const AttentionCase& attention_case,
                           const client::AttendResponse& response);

}  // namespace attn::test
