// A message as the network left it: fragments one after another, read without
// joining them. Knows no gRPC, so that the decoder above it can be fuzzed.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "google/protobuf/io/zero_copy_stream.h"

namespace attn {

// A stretch of a message, in bytes from its start.
struct ByteRange {
  int64_t offset = 0;
  int64_t size = 0;
};

// Borrows the fragments' memory, but for those that it keeps an owner of.
// Thread-compatible.
class FragmentedBytes {
 public:
  // Where the fragment lies.
  ByteRange Append(const void* data, size_t size,
                   std::shared_ptr<const void> owner = nullptr);

  int64_t size() const { return size_; }
  ByteRange whole() const { return {0, size_}; }

  // Copies the range to `to`. REQUIRES: it lies within the message.
  void CopyTo(ByteRange range, void* to) const;

  // visit(data, size) for the range's pieces, in order. REQUIRES: as above.
  template <typename Visit>
  void ForEach(ByteRange range, const Visit& visit) const {
    int64_t offset = range.offset;
    int64_t left = range.size;
    for (size_t i = left == 0 ? 0 : Find(offset); left > 0; ++i) {
      const Fragment& fragment = fragments_[i];
      const int64_t skipped = offset - fragment.offset;
      const int64_t size = std::min(fragment.size - skipped, left);
      visit(fragment.data + skipped, size);
      offset += size;
      left -= size;
    }
  }

 private:
  friend class FragmentStream;

  struct Fragment {
    const std::byte* data;
    int64_t offset;  // Of its first byte within the message.
    int64_t size;
  };

  // Index of the fragment that holds the byte at `offset`.
  size_t Find(int64_t offset) const;

  std::vector<Fragment> fragments_;  // None is empty.
  std::vector<std::shared_ptr<const void>> owners_;
  int64_t size_ = 0;
};

// Reads a range of a message for protobuf's CodedInputStream. Borrows the
// bytes. Thread-compatible.
class FragmentStream final : public google::protobuf::io::ZeroCopyInputStream {
 public:
  // REQUIRES: the range lies within the message and is below 2^31 bytes.
  FragmentStream(const FragmentedBytes& bytes, ByteRange range);

  bool Next(const void** data, int* size) override;
  void BackUp(int count) override;
  bool Skip(int count) override;
  int64_t ByteCount() const override { return position_ - range_.offset; }

 private:
  int64_t left() const { return range_.offset + range_.size - position_; }

  const FragmentedBytes& bytes_;
  const ByteRange range_;
  int64_t position_;
};

}  // namespace attn
