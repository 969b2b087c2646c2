// How many descriptors, and so connections, the process may have.
#pragma once

namespace attn {

// Raises the soft limit to the hard one: a shell's soft limit is often 1024.
void RaiseDescriptorLimit();

}  // namespace attn
