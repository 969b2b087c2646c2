// How cached keys and values lie in memory: pages of 64 tokens of one layer,
// for all of its KV heads. Written by the KV cache, read by kernels, which know
// nothing else of it.
//
// A page is, for each KV head, a key block [head_dim, 64] (transposed: what
// both products want) and a value block [64, value_head_dim], every block at
// kBlockAlignment.
//
// What lies in the last page behind a sequence's length belongs to nobody: a
// new page is zero there, but another sequence that shares the page may have
// written on, or write just now. A reader must neither depend on it nor let it
// (NaN, infinity) reach a result.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/base/checked_math.h"
#include "core/tensor/dtype.h"

namespace attn {

inline constexpr int64_t kPageTokens = 64;

struct KvFormat {
  DataType dtype = DataType::kF32;  // F32, F16 or BF16.
  int64_t num_kv_heads = 0;
  int64_t head_dim = 0;
  int64_t value_head_dim = 0;

  static constexpr int64_t kBlockAlignment = 64;

  int64_t key_block_bytes() const { return BlockBytes(head_dim); }
  int64_t value_block_bytes() const { return BlockBytes(value_head_dim); }
  int64_t page_bytes() const {
    return num_kv_heads * (key_block_bytes() + value_block_bytes());
  }
  // Bytes from the start of a page to the blocks of a head.
  int64_t KeyOffset(int64_t head) const {
    return head * (key_block_bytes() + value_block_bytes());
  }
  int64_t ValueOffset(int64_t head) const {
    return KeyOffset(head) + key_block_bytes();
  }

 private:
  int64_t BlockBytes(int64_t dim) const {
    return RoundUp(kPageTokens * dim * ElementBytes(dtype), kBlockAlignment);
  }
};

// One KV head's keys and values in pages, as a kernel sees them. Borrows.
struct PagedHead {
  // The page of token j is pages[j / kPageTokens - first_page]; null: not
  // paged.
  const std::byte* const* pages = nullptr;
  int64_t first_page = 0;
  DataType dtype = DataType::kF32;
  int64_t key_offset = 0;  // Of the head's blocks within a page.
  int64_t value_offset = 0;

  bool is_on() const { return pages != nullptr; }
  const std::byte* KeyBlock(int64_t page) const {
    return pages[page - first_page] + key_offset;
  }
  const std::byte* ValueBlock(int64_t page) const {
    return pages[page - first_page] + value_offset;
  }
};

// All heads of a layer in pages. Borrows.
struct PagedKv {
  const std::byte* const* pages = nullptr;  // As PagedHead's.
  int64_t first_page = 0;
  KvFormat format;

  PagedHead Head(int64_t kv_head) const {
    if (pages == nullptr) return {};
    return {.pages = pages,
            .first_page = first_page,
            .dtype = format.dtype,
            .key_offset = format.KeyOffset(kv_head),
            .value_offset = format.ValueOffset(kv_head)};
  }
};

}  // namespace attn
