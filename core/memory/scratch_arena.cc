#include "core/memory/scratch_arena.h"

#include <algorithm>
#include <utility>

#include "core/base/status_macros.h"

namespace attn {

absl::Status ScratchArena::Reset(int64_t bytes) {
  used_bytes_ = 0;
  const bool fits = bytes <= buffer_.size_bytes();
  const bool is_oversized =
      buffer_.size_bytes() > kKeptBytes && bytes <= kKeptBytes;
  if (fits && !is_oversized) return absl::OkStatus();
  buffer_ = AlignedBuffer();
  ATTN_ASSIGN_OR_RETURN(
      buffer_, AlignedBuffer::Allocate(std::max(bytes, kHugePageBytes)));
  return absl::OkStatus();
}

}  // namespace attn
