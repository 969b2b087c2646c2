#include "server/fragmented_bytes.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/base/check.h"

namespace attn {

ByteRange FragmentedBytes::Append(const void* data, size_t size,
                                  std::shared_ptr<const void> owner) {
  const ByteRange range{size_, static_cast<int64_t>(size)};
  if (size == 0) return range;
  fragments_.push_back({.data = static_cast<const std::byte*>(data),
                        .offset = range.offset,
                        .size = range.size});
  if (owner != nullptr) owners_.push_back(std::move(owner));
  size_ += range.size;
  return range;
}

size_t FragmentedBytes::Find(int64_t offset) const {
  const auto after = std::upper_bound(
      fragments_.begin(), fragments_.end(), offset,
      [](int64_t wanted, const Fragment& f) { return wanted < f.offset; });
  return static_cast<size_t>(after - fragments_.begin()) - 1;
}

void FragmentedBytes::CopyTo(ByteRange range, void* to) const {
  if (range.size == 0) return;
  ATTN_CHECK(range.offset >= 0 && range.offset + range.size <= size_);
  auto* next = static_cast<std::byte*>(to);
  for (size_t i = Find(range.offset); range.size > 0; ++i) {
    const Fragment& fragment = fragments_[i];
    const int64_t start = range.offset - fragment.offset;
    const int64_t count = std::min(range.size, fragment.size - start);
    std::memcpy(next, fragment.data + start, static_cast<size_t>(count));
    next += count;
    range.offset += count;
    range.size -= count;
  }
}

FragmentStream::FragmentStream(const FragmentedBytes& bytes, ByteRange range)
    : bytes_(bytes), range_(range), position_(range.offset) {
  ATTN_CHECK(range.offset >= 0 && range.size >= 0 &&
             range.offset + range.size <= bytes.size());
}

bool FragmentStream::Next(const void** data, int* size) {
  if (left() == 0) return false;
  const auto& fragment = bytes_.fragments_[bytes_.Find(position_)];
  const int64_t start = position_ - fragment.offset;
  const int64_t count = std::min(left(), fragment.size - start);
  *data = fragment.data + start;
  *size = static_cast<int>(count);
  position_ += count;
  return true;
}

void FragmentStream::BackUp(int count) { position_ -= count; }

bool FragmentStream::Skip(int count) {
  const int64_t skipped = std::min<int64_t>(count, left());
  position_ += skipped;
  return skipped == count;
}

}  // namespace attn
