// One AttendRequest's way through the server: decode, validate, admit, copy,
// queue, and back as an outcome. Knows no gRPC.
#pragma once

#include <functional>
#include <vector>

#include "core/engine/engine.h"
#include "server/fragmented_bytes.h"
#include "server/request_flow.h"
#include "server/wire_codec.h"

namespace attn {

// Called exactly once; on the thread of Run when the request is refused, else
// on a worker. Must not block.
using AttendDone = std::function<void(AttendOutcome)>;

// Where tasks on sessions wait for the others of their message, which the
// caller submits together: forks of one prefix are read once then. Null: they
// are submitted at once, as all others are.
using Together = std::vector<Engine::Submission>;

// Runs the AttendRequest in `range`, whose tensors are copied before this
// returns.
void RunAttend(RequestFlow& flow, FragmentedBytes& bytes, ByteRange range,
               AttendDone done, Together* together = nullptr);

// The same for a request that was decoded since `start`, whatever message it
// came in.
void RunDecoded(RequestFlow& flow, const FragmentedBytes& bytes,
                DecodedRequest decoded, TimePoint start, AttendDone done,
                Together* together = nullptr);

}  // namespace attn
