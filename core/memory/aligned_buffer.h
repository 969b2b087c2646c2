// Memory for tensors and scratch. Large buffers are mapped on 2 MiB boundaries
// and ask for huge pages: reading keys and values through 4 KiB pages costs a
// quarter of the bandwidth (design/performance.md).
#pragma once

#include <cstddef>
#include <cstdint>

#include "absl/status/statusor.h"

namespace attn {

inline constexpr int64_t kBufferAlignment = 64;
inline constexpr int64_t kHugePageBytes = int64_t{2} << 20;

// Owns one block of memory; empty when default-constructed or moved from.
// Thread-compatible.
class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  AlignedBuffer(AlignedBuffer&& other) noexcept;
  AlignedBuffer& operator=(AlignedBuffer&& other) noexcept;
  ~AlignedBuffer();

  // `bytes` > 0 of memory, zero from kHugePageBytes on and undefined below, at
  // kBufferAlignment. RESOURCE_EXHAUSTED when the system has none.
  static absl::StatusOr<AlignedBuffer> Allocate(int64_t bytes);

  std::byte* data() const { return data_; }
  int64_t size_bytes() const { return size_bytes_; }

 private:
  AlignedBuffer(std::byte* data, int64_t size_bytes)
      : data_(data), size_bytes_(size_bytes) {}
  void Free();

  std::byte* data_ = nullptr;
  int64_t size_bytes_ = 0;
};

}  // namespace attn
