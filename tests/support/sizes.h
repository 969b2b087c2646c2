// Sizes that shrink where every instruction costs ten times as much.
#pragma once

#include <cstdint>

namespace attn::test {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kIsSanitized = true;
#else
inline constexpr bool kIsSanitized = false;
#endif

// `full`, or `small` under sanitizers.
constexpr int64_t Scaled(int64_t full, int64_t small) {
  return kIsSanitized ? small : full;
}

}  // namespace attn::test
