// One ForwardRequest's way through the server: decode, find the layer and the
// session, admit, copy, queue, and back as an outcome. Knows no gRPC.
#pragma once

#include <functional>

#include "server/forward_codec.h"
#include "server/forward_lanes.h"
#include "server/fragmented_bytes.h"
#include "server/layer_context.h"
#include "server/request_flow.h"

namespace attn {

// Called exactly once; on the thread of Run when the request is refused, else
// on a worker. Must not block.
using ForwardOutcomeDone = std::function<void(ForwardOutcome)>;

// Runs the ForwardRequest in `range`, whose tensors are copied before this
// returns. With `lanes` it is submitted by them, together with the others of
// its message; null: at once.
void RunForward(RequestFlow& flow, LayerStore& layers, FragmentedBytes& bytes,
                ByteRange range, ForwardOutcomeDone done,
                ForwardLanes* lanes = nullptr);

// A request that was decoded since `start`, whatever message it came in.
struct ReceivedForward {
  const FragmentedBytes& bytes;
  DecodedForward decoded;
  TimePoint start;
};

// The same for one of these.
void RunReceived(RequestFlow& flow, LayerStore& layers,
                 ReceivedForward received, ForwardOutcomeDone done,
                 ForwardLanes* lanes = nullptr);

}  // namespace attn
