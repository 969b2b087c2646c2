// The keys and values of a case laid out in pages, as a session has them.
#pragma once

#include <cstddef>
#include <vector>

#include "core/attention/kernel_choice.h"
#include "core/attention/tile_gemm.h"
#include "core/tensor/kv_format.h"
#include "tests/support/attention_case.h"

namespace attn::test {

// Owns the pages. Thread-compatible.
class PagedCase {
 public:
  // REQUIRES: batch_size 1, dtype F32, F16 or BF16.
  explicit PagedCase(const AttentionCase& attention_case);

  PagedKv View() const {
    return {.pages = pages_.data(), .first_page = 0, .format = format_};
  }

 private:
  KvFormat format_;
  std::vector<std::vector<std::byte>> memory_;
  std::vector<const std::byte*> pages_;
};

// What the kernel of `kind` answers from pages.
AttentionOutputs RunPaged(const AttentionCase& attention_case,
                          const TileGemm& gemm, KernelKind kind);

}  // namespace attn::test
