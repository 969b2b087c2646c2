// One KV head's blocks within a packed page (int8_rows.h), as the cache writes
// them: whole, once, from the tokens themselves or from a full page of f32.
// Both give the same bytes for the same tokens.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/kv_cache/page_blocks.h"
#include "core/tensor/kv_format.h"

namespace attn {

// Borrows the page.
struct PackedBlocks {
  int64_t head_dim = 0;
  int64_t value_head_dim = 0;
  int8_t* keys = nullptr;         // [head_dim, kPageTokens]
  float* key_scales = nullptr;    // [head_dim]
  int8_t* values = nullptr;       // [kPageTokens, value_head_dim]
  float* value_scales = nullptr;  // [kPageTokens]
};

PackedBlocks PackedBlocksOf(const KvFormat& format, std::byte* page,
                            int64_t head);

// The tokens of a whole page. REQUIRES: run.place is 0, run.n is kPageTokens.
void PackTokens(const TokenRun& run, const PackedBlocks& to);

// A full page. REQUIRES: from.dtype is F32.
void PackPage(const PageBlocks<const std::byte>& from, const PackedBlocks& to);

// Places [0, n) of a packed page, back in f32. Touches no other places of `to`.
// REQUIRES: to.dtype is F32.
void UnpackTokens(const PackedBlocks& from, int64_t n,
                  const PageBlocks<std::byte>& to);

// The first n tokens of a page of either form, all heads, to the first places
// of one of floats. Reads no others.
void CopyFirstTokens(const KvFormat& format, std::byte* from, PageForm form,
                     int64_t n, std::byte* to);

}  // namespace attn
