// How cached keys and values lie in memory: pages of 64 tokens of one layer,
// for all of its KV heads. Written by the KV cache, read by kernels, which know
// nothing else of it.
//
// A page is, for each KV head, a key block [head_dim, 64] (transposed: what
// both products want) and a value block [64, value_head_dim], every block at
// kBlockAlignment. In a packed page both are rows of int8 and are followed by
// the rows' scales (int8_rows.h): one a channel of the keys, one a token of the
// values.
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
#include "core/tensor/int8_rows.h"

namespace attn {

inline constexpr int64_t kPageTokens = 64;

// What a page is made of.
enum class PageForm : uint8_t {
  kFloat,   // Elements of KvFormat::dtype.
  kPacked,  // int8 and scales.
};

// Bytes from the start of a packed page to the parts of a head.
struct PackedOffsets {
  int64_t keys = 0;          // int8 [head_dim, 64]
  int64_t key_scales = 0;    // f32 [head_dim]
  int64_t values = 0;        // int8 [64, value_head_dim]
  int64_t value_scales = 0;  // f32 [64]
};

struct KvFormat {
  DataType dtype = DataType::kF32;  // F32, F16 or BF16.
  int64_t num_kv_heads = 0;
  int64_t head_dim = 0;
  int64_t value_head_dim = 0;
  // Pages are packed when they are full; `dtype` is F32, that of the others.
  bool packs_full_pages = false;

  friend bool operator==(const KvFormat&, const KvFormat&) = default;

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

  int64_t packed_page_bytes() const {
    return PackedOffsetsOf(num_kv_heads).keys;
  }
  PageForm FormOf(bool is_full) const {
    return packs_full_pages && is_full ? PageForm::kPacked : PageForm::kFloat;
  }
  int64_t BytesOf(PageForm form) const {
    return form == PageForm::kPacked ? packed_page_bytes() : page_bytes();
  }
  PackedOffsets PackedOffsetsOf(int64_t head) const {
    const auto aligned = [](int64_t bytes) {
      return RoundUp(bytes, kBlockAlignment);
    };
    constexpr int64_t kScale = sizeof(float);
    PackedOffsets at;
    at.key_scales = aligned(kPageTokens * head_dim);
    at.values = at.key_scales + aligned(head_dim * kScale);
    at.value_scales = at.values + aligned(kPageTokens * value_head_dim);
    at.keys = head * (at.value_scales + aligned(kPageTokens * kScale));
    at.key_scales += at.keys;
    at.values += at.keys;
    at.value_scales += at.keys;
    return at;
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
  const PageForm* forms = nullptr;  // Of pages; null: kFloat, all of them.
  int64_t first_page = 0;
  DataType dtype = DataType::kF32;
  int64_t key_offset = 0;  // Of the head's blocks within a page.
  int64_t value_offset = 0;
  PackedOffsets packed;

  bool is_on() const { return pages != nullptr; }
  bool IsPacked(int64_t page) const {
    return forms != nullptr && forms[page - first_page] == PageForm::kPacked;
  }

  // REQUIRES: not IsPacked(page).
  const std::byte* KeyBlock(int64_t page) const {
    return pages[page - first_page] + key_offset;
  }
  const std::byte* ValueBlock(int64_t page) const {
    return pages[page - first_page] + value_offset;
  }

  // REQUIRES: IsPacked(page).
  Int8Rows PackedKeys(int64_t page) const {
    return RowsAt(page, packed.keys, packed.key_scales, kPageTokens);
  }
  Int8Rows PackedValues(int64_t page, int64_t value_head_dim) const {
    return RowsAt(page, packed.values, packed.value_scales, value_head_dim);
  }

 private:
  Int8Rows RowsAt(int64_t page, int64_t codes, int64_t scales,
                  int64_t length) const {
    const std::byte* data = pages[page - first_page];
    return {reinterpret_cast<const int8_t*>(data + codes),
            reinterpret_cast<const float*>(data + scales), length};
  }
};

// All heads of a layer in pages. Borrows.
struct PagedKv {
  const std::byte* const* pages = nullptr;  // As PagedHead's.
  const PageForm* forms = nullptr;
  int64_t first_page = 0;
  KvFormat format;

  PagedHead Head(int64_t kv_head) const {
    PagedHead head;
    if (pages == nullptr) return head;
    head.pages = pages;
    head.forms = forms;
    head.first_page = first_page;
    head.dtype = format.dtype;
    head.key_offset = format.KeyOffset(kv_head);
    head.value_offset = format.ValueOffset(kv_head);
    if (forms != nullptr) head.packed = format.PackedOffsetsOf(kv_head);
    return head;
  }
};

}  // namespace attn
