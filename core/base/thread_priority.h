// How much CPU a thread gets beside the others of the process.
#pragma once

namespace attn {

// Adds `steps` (0..19) to the calling thread's nice value: it yields to threads
// that did not, and takes all of a CPU that they leave. Never fails: lowering
// is open to everyone. Does nothing where the system has no such notion.
void LowerThreadPriority(int steps);

}  // namespace attn
