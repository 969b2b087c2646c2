// Where a thread runs.
#pragma once

namespace attn {

// Keeps the calling thread on one CPU: the index-th (counted round) of those
// that it may use now. Returns that CPU's number, or -1 where the system does
// not do it; then nothing has changed. REQUIRES: index >= 0.
int PinToCpu(int index);

}  // namespace attn
