// One frame of `attnctl top --output json`. Pure functions: thread-safe.
#pragma once

#include <string>

#include "client/cpp/attnctl/live_view.h"

namespace attn::attnctl {

// What RenderLive shows as one object on one line: rates, queue, KV memory,
// {"count", "p50_ms", "p90_ms", "p99_ms"} of each method that was called, of
// queue wait and of compute (null where nothing was observed), and the largest
// sessions. Ends in a newline.
std::string RenderLiveJson(const LiveFrame& frame);

}  // namespace attn::attnctl
