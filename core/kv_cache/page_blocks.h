// One KV head's blocks within a page, as the cache writes them: tokens are
// converted to the cache's dtype, and keys are transposed.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/tensor/kv_format.h"

namespace attn {

// Byte is std::byte or const std::byte. Borrows the page.
template <typename Byte>
struct PageBlocks {
  DataType dtype = DataType::kF32;
  int64_t head_dim = 0;
  int64_t value_head_dim = 0;
  Byte* keys = nullptr;    // [head_dim, kPageTokens]
  Byte* values = nullptr;  // [kPageTokens, value_head_dim]
};

template <typename Byte>
PageBlocks<Byte> BlocksOf(const KvFormat& format, Byte* page, int64_t head) {
  return {format.dtype, format.head_dim, format.value_head_dim,
          page + format.KeyOffset(head), page + format.ValueOffset(head)};
}

// Tokens for the places [place, place + n) of a page.
struct TokenRun {
  int64_t place = 0;
  int64_t n = 0;
  const float* keys = nullptr;    // [n, head_dim]
  const float* values = nullptr;  // [n, value_head_dim]
};

// Touches no other places. REQUIRES: place + n <= kPageTokens.
void WriteTokens(const TokenRun& run, const PageBlocks<std::byte>& to);

// Copies places [0, n), and reads no others.
void CopyTokens(const PageBlocks<const std::byte>& from, int64_t n,
                const PageBlocks<std::byte>& to);

// Zeroes places [place, kPageTokens).
void ClearTokens(const PageBlocks<std::byte>& blocks, int64_t place);

}  // namespace attn
