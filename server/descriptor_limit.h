// How many descriptors, and so connections, the process may have.
#pragma once

namespace attn {

// Raises the soft limit to the hard one. A shell's soft limit is often 1024,
// and gRPC 1.51 never listens again on a port whose accept() once found no
// descriptor (CVE-2023-4785).
void RaiseDescriptorLimit();

}  // namespace attn
