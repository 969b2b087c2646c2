// A message as the network cuts it, for tests of the wire codec.
#pragma once

#include <algorithm>
#include <string>
#include <utility>

#include "server/wire_codec.h"

namespace attn {

// A message cut into fragments of the given size.
class FragmentedMessage {
 public:
  explicit FragmentedMessage(std::string text, size_t fragment = SIZE_MAX)
      : text_(std::move(text)) {
    for (size_t at = 0; at < text_.size();) {
      const size_t size = std::min(fragment, text_.size() - at);
      bytes_.Append(text_.data() + at, size);
      at += size;
    }
  }
  FragmentedMessage(const FragmentedMessage&) = delete;
  FragmentedMessage& operator=(const FragmentedMessage&) = delete;

  FragmentedBytes& bytes() { return bytes_; }
  const FragmentedBytes& bytes() const { return bytes_; }
  DecodedRequest Decode(const SharedMemory* shared_memory = nullptr) {
    return DecodeRequest({bytes_, shared_memory}, bytes_.whole());
  }
  std::string Cut(ByteRange range) const {
    return text_.substr(static_cast<size_t>(range.offset),
                        static_cast<size_t>(range.size));
  }

 private:
  std::string text_;
  FragmentedBytes bytes_;
};

}  // namespace attn
