#include "core/engine/float_mode.h"

#if defined(__SSE__)
#include <xmmintrin.h>
#endif

namespace attn {

void FlushDenormals() {
#if defined(__SSE__)
  constexpr unsigned int kFlushToZero = 0x8000;
  constexpr unsigned int kDenormalsAreZero = 0x0040;
  _mm_setcsr(_mm_getcsr() | kFlushToZero | kDenormalsAreZero);
#endif
}

}  // namespace attn
