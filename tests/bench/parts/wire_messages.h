// Requests as clients send them, for what measures the codec.
#pragma once

#include <string>

#include "server/fragmented_bytes.h"

namespace attn::bench {

// An AttendRequest whose three f32 tensors hold 4 MiB of random bytes.
std::string LargeRequest();

// A decode step: one token of 32 query heads and 8 KV heads of 128 in bf16,
// appended to a session.
std::string DecodeStepRequest();

// The message as gRPC hands out what came over HTTP/2. Borrows it.
FragmentedBytes Fragments(const std::string& message);

}  // namespace attn::bench
