#include "server/free_memory.h"

#include <malloc.h>

namespace attn {

void ReturnFreeMemory(size_t kept_bytes) {
  if (mallinfo2().fordblks > kept_bytes) malloc_trim(0);
}

}  // namespace attn
