// A worker's own memory for one work item after another: reserved once, then
// handed out from the front and reset. No allocation on the request path after
// warm-up.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "absl/status/status.h"
#include "core/base/check.h"
#include "core/base/checked_math.h"
#include "core/memory/aligned_buffer.h"

namespace attn {

// Confined to one worker thread.
class ScratchArena {
 public:
  // Forgets what was taken and makes room for `bytes`; memory grows, and
  // shrinks again after an item that needed more than kKeptBytes.
  // RESOURCE_EXHAUSTED when the system has none.
  absl::Status Reset(int64_t bytes);

  // `count` elements at kBufferAlignment, undefined, valid until Reset.
  // REQUIRES: Reset made room for it (BytesFor of each Take).
  template <typename T>
  T* Take(int64_t count) {
    static_assert(std::is_trivially_copyable_v<T>);
    T* taken = reinterpret_cast<T*>(buffer_.data() + used_bytes_);
    used_bytes_ += BytesFor<T>(count);
    ATTN_CHECK(used_bytes_ <= buffer_.size_bytes());
    return taken;
  }

  // What Take<T>(count) uses up.
  template <typename T>
  static constexpr int64_t BytesFor(int64_t count) {
    return RoundUp(count * static_cast<int64_t>(sizeof(T)), kBufferAlignment);
  }

 private:
  static constexpr int64_t kKeptBytes = int64_t{16} << 20;

  AlignedBuffer buffer_;
  int64_t used_bytes_ = 0;
};

}  // namespace attn
