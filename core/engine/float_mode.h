// Floating-point mode of worker threads.
#pragma once

namespace attn {

// Denormal numbers become 0 on the calling thread: tails of the softmax would
// otherwise cost a hundred cycles each. No effect where the CPU has no such
// mode.
void FlushDenormals();

}  // namespace attn
