// Safetensors files that tests make: of a header's text as it is, and of the
// bytes behind it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace attn::test {

inline std::string SizeBytes(uint64_t size) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) {
    bytes += static_cast<char>((size >> (8 * i)) & 0xff);
  }
  return bytes;
}

inline std::string Safetensors(std::string_view header, std::string_view data) {
  std::string file = SizeBytes(header.size());
  file += header;
  file += data;
  return file;
}

}  // namespace attn::test
