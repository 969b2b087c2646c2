#include "core/memory/buffer_pool.h"

#include <algorithm>
#include <bit>
#include <functional>
#include <map>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "core/base/check.h"
#include "core/base/checked_math.h"
#include "core/base/status_macros.h"

namespace attn {
namespace {

constexpr int64_t kSmallestClassBytes = 4096;

}  // namespace

// What the pool and its leases share.
struct PooledBuffer::State {
  explicit State(int64_t max) : max_bytes(max) {}

  const int64_t max_bytes;

  absl::Mutex mutex;
  int64_t leased_bytes ABSL_GUARDED_BY(mutex) = 0;
  int64_t kept_bytes ABSL_GUARDED_BY(mutex) = 0;
  // Kept buffers by size class, largest first.
  std::map<int64_t, std::vector<AlignedBuffer>, std::greater<>> kept
      ABSL_GUARDED_BY(mutex);

  // A kept buffer of the class, or an empty one.
  AlignedBuffer TakeKept(int64_t class_bytes)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    const auto it = kept.find(class_bytes);
    if (it == kept.end() || it->second.empty()) return {};
    AlignedBuffer buffer = std::move(it->second.back());
    it->second.pop_back();
    kept_bytes -= class_bytes;
    return buffer;
  }

  // Kept buffers, largest first, whose going makes room for `bytes`; the caller
  // destroys them without the lock.
  std::vector<AlignedBuffer> EvictFor(int64_t bytes)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    std::vector<AlignedBuffer> evicted;
    for (auto& [class_bytes, buffers] : kept) {
      while (leased_bytes + kept_bytes + bytes > max_bytes &&
             !buffers.empty()) {
        evicted.push_back(std::move(buffers.back()));
        buffers.pop_back();
        kept_bytes -= class_bytes;
      }
    }
    return evicted;
  }
};

PooledBuffer::PooledBuffer(std::shared_ptr<State> state, AlignedBuffer buffer)
    : state_(std::move(state)), buffer_(std::move(buffer)) {}

PooledBuffer& PooledBuffer::operator=(PooledBuffer&& other) noexcept {
  if (this != &other) {
    Release();
    state_ = std::move(other.state_);
    buffer_ = std::move(other.buffer_);
  }
  return *this;
}

PooledBuffer::~PooledBuffer() { Release(); }

void PooledBuffer::Release() {
  if (state_ == nullptr) return;
  const int64_t bytes = buffer_.size_bytes();
  {
    absl::MutexLock lock(&state_->mutex);
    state_->leased_bytes -= bytes;
    state_->kept_bytes += bytes;
    state_->kept[bytes].push_back(std::move(buffer_));
  }
  state_ = nullptr;
}

BufferPool::BufferPool(int64_t max_bytes)
    : state_(std::make_shared<PooledBuffer::State>(max_bytes)) {}

int64_t BufferPool::ClassBytes(int64_t bytes) {
  if (bytes <= kSmallestClassBytes) return kSmallestClassBytes;
  const auto floor =
      static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(bytes)));
  const int64_t stepped = RoundUp(bytes, floor / 4);
  return stepped < kHugePageBytes ? stepped : RoundUp(stepped, kHugePageBytes);
}

absl::StatusOr<PooledBuffer> BufferPool::Lease(int64_t bytes) {
  ATTN_CHECK(bytes >= 0);
  if (bytes == 0) return PooledBuffer();
  if (bytes > state_->max_bytes) {
    return absl::ResourceExhaustedError(
        absl::StrCat("buffer pool: ", bytes, " bytes are beyond its limit of ",
                     state_->max_bytes));
  }
  const int64_t class_bytes = ClassBytes(bytes);
  std::vector<AlignedBuffer> evicted;
  {
    absl::MutexLock lock(&state_->mutex);
    AlignedBuffer kept = state_->TakeKept(class_bytes);
    const bool can_fit =
        state_->leased_bytes + class_bytes <= state_->max_bytes;
    if (kept.data() == nullptr && can_fit) {
      evicted = state_->EvictFor(class_bytes);
    }
    if (kept.data() == nullptr &&
        state_->leased_bytes + state_->kept_bytes + class_bytes >
            state_->max_bytes) {
      return absl::ResourceExhaustedError(absl::StrCat(
          "buffer pool: ", class_bytes, " bytes do not fit beside ",
          state_->leased_bytes, " leased ones within ", state_->max_bytes));
    }
    state_->leased_bytes += class_bytes;
    if (kept.data() != nullptr) return PooledBuffer(state_, std::move(kept));
  }
  evicted.clear();
  absl::StatusOr<AlignedBuffer> fresh = AlignedBuffer::Allocate(class_bytes);
  if (fresh.ok()) return PooledBuffer(state_, *std::move(fresh));
  absl::MutexLock lock(&state_->mutex);
  state_->leased_bytes -= class_bytes;
  return fresh.status();
}

int64_t BufferPool::bytes() const {
  absl::MutexLock lock(&state_->mutex);
  return state_->leased_bytes + state_->kept_bytes;
}

int64_t BufferPool::leased_bytes() const {
  absl::MutexLock lock(&state_->mutex);
  return state_->leased_bytes;
}

}  // namespace attn
