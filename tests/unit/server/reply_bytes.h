// A reply as the client gets it, for tests of the wire codecs.
#pragma once

#include <string>

#include "server/reply.h"

namespace attn {

inline std::string Join(const Reply& reply) {
  std::string text;
  for (const ReplyChunk& chunk : reply) {
    if (chunk.data == nullptr) {
      text += chunk.text;
    } else {
      text.append(reinterpret_cast<const char*>(chunk.data),
                  static_cast<size_t>(chunk.data_bytes));
    }
  }
  return text;
}

}  // namespace attn
