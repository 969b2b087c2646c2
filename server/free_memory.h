// Memory that malloc keeps although nobody uses it.
#pragma once

#include <cstddef>

namespace attn {

// Gives it back to the system where it is more than `kept_bytes`. malloc does
// so only at the end of a heap: after 20,000 calls that were reset at once, 400
// MiB stayed that 6 MiB were used of. Takes malloc's locks, some 10 ms for 400
// MiB: not for the way of a request.
void ReturnFreeMemory(size_t kept_bytes);

}  // namespace attn
