#include "core/memory/aligned_buffer.h"

#include <sys/mman.h>

#include <cstdlib>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "core/base/checked_math.h"

namespace attn {
namespace {

bool IsMapped(int64_t bytes) { return bytes >= kHugePageBytes; }

// mmap aligns to 4 KiB only, so map one huge page more and give back the ends.
std::byte* MapHuge(int64_t bytes) {
  const int64_t padded = bytes + kHugePageBytes;
  void* raw = mmap(nullptr, static_cast<size_t>(padded), PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (raw == MAP_FAILED) return nullptr;
  const auto address = reinterpret_cast<uintptr_t>(raw);
  const auto aligned = static_cast<uintptr_t>(
      RoundUp(static_cast<int64_t>(address), kHugePageBytes));
  const size_t head = aligned - address;
  const size_t tail = static_cast<size_t>(kHugePageBytes) - head;
  if (head > 0) munmap(raw, head);
  auto* data = static_cast<std::byte*>(raw) + head;
  if (tail > 0) munmap(data + bytes, tail);
  madvise(data, static_cast<size_t>(bytes), MADV_HUGEPAGE);
  return data;
}

}  // namespace

absl::StatusOr<AlignedBuffer> AlignedBuffer::Allocate(int64_t bytes) {
  // Free tells by the rounded size how the memory was got, so Allocate must
  // choose by it, too.
  const int64_t lines = RoundUp(bytes, kBufferAlignment);
  const bool is_mapped = IsMapped(lines);
  const int64_t rounded = is_mapped ? RoundUp(bytes, kHugePageBytes) : lines;
  std::byte* data = is_mapped
                        ? MapHuge(rounded)
                        : static_cast<std::byte*>(std::aligned_alloc(
                              kBufferAlignment, static_cast<size_t>(rounded)));
  if (data == nullptr) {
    return absl::ResourceExhaustedError(
        absl::StrCat("no memory for a buffer of ", rounded, " bytes"));
  }
  return AlignedBuffer(data, rounded);
}

AlignedBuffer::AlignedBuffer(AlignedBuffer&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      size_bytes_(std::exchange(other.size_bytes_, 0)) {}

AlignedBuffer& AlignedBuffer::operator=(AlignedBuffer&& other) noexcept {
  if (this != &other) {
    Free();
    data_ = std::exchange(other.data_, nullptr);
    size_bytes_ = std::exchange(other.size_bytes_, 0);
  }
  return *this;
}

AlignedBuffer::~AlignedBuffer() { Free(); }

void AlignedBuffer::Free() {
  if (data_ == nullptr) return;
  if (IsMapped(size_bytes_)) {
    munmap(data_, static_cast<size_t>(size_bytes_));
  } else {
    std::free(data_);
  }
}

}  // namespace attn
