// ATTN_CHECK: a broken invariant of our own ends the process with the place and
// the condition. Never for outside input, which is answered with a Status.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace attn {

[[noreturn]] inline void CheckFailed(const char* file, int line,
                                     const char* condition) {
  std::fprintf(stderr, "%s:%d: CHECK failed: %s\n", file, line, condition);
  std::abort();
}

}  // namespace attn

#define ATTN_CHECK(condition)         \
  ((condition) ? static_cast<void>(0) \
               : ::attn::CheckFailed(__FILE__, __LINE__, #condition))
