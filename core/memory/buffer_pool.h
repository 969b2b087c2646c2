// Pooled buffers for tensors on their way in and out. Fresh pages cost more
// than the copy into them (design/performance.md), so a buffer that came back
// is kept, touched and warm, for the next request of its size class.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "core/memory/aligned_buffer.h"

namespace attn {

class BufferPool;

// A lease on a pool's buffer; returns it when destroyed. Empty when
// default-constructed. Keeps the pool's state alive, so it may outlive the
// BufferPool (a reply that gRPC still sends while the server goes down).
// Thread-compatible.
class PooledBuffer {
 public:
  PooledBuffer() = default;
  PooledBuffer(PooledBuffer&&) noexcept = default;
  PooledBuffer& operator=(PooledBuffer&& other) noexcept;
  ~PooledBuffer();

  std::byte* data() const { return buffer_.data(); }
  // At least the bytes asked for.
  int64_t size_bytes() const { return buffer_.size_bytes(); }

 private:
  friend class BufferPool;
  struct State;
  PooledBuffer(std::shared_ptr<State> state, AlignedBuffer buffer);
  void Release();

  // Shared with the pool and with other leases, see above.
  std::shared_ptr<State> state_;
  AlignedBuffer buffer_;
};

// Thread-safe.
class BufferPool {
 public:
  // `max_bytes` bounds leased and kept buffers together.
  explicit BufferPool(int64_t max_bytes);

  // A buffer of at least `bytes` (0 gives an empty lease), contents undefined,
  // aligned to kBufferAlignment. RESOURCE_EXHAUSTED beyond max_bytes, after
  // kept buffers of other classes were given back to the system.
  // REQUIRES: bytes >= 0.
  absl::StatusOr<PooledBuffer> Lease(int64_t bytes);

  // Leased and kept bytes.
  int64_t bytes() const;
  int64_t leased_bytes() const;

  // The size that a lease of `bytes` occupies: powers of two in quarter steps,
  // so that at most a fifth is unused; from 2 MiB on also whole huge pages,
  // which up to 8 MiB can be more.
  static int64_t ClassBytes(int64_t bytes);

 private:
  std::shared_ptr<PooledBuffer::State> state_;
};

}  // namespace attn
