// A reply on its way out: a list of chunks, small ones made here and large ones
// borrowed from the task, so that tensors are not copied. Knows protobuf's wire
// format and no gRPC.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace attn {

// A piece of a reply: its own bytes, or borrowed ones that `owner` keeps alive.
struct ReplyChunk {
  std::string text{};
  const std::byte* data = nullptr;  // Null: text.
  int64_t data_bytes = 0;
  std::shared_ptr<const void> owner{};

  int64_t size() const {
    return data == nullptr ? static_cast<int64_t>(text.size()) : data_bytes;
  }
};
using Reply = std::vector<ReplyChunk>;

int64_t ReplySize(const Reply& reply);

// Appends bytes. Neighbouring texts become one chunk: fewer slices for gRPC to
// send.
void AppendText(std::string text, Reply& reply);

// Appends the chunks of `part`.
void AppendReply(Reply part, Reply& reply);

// Appends `message` as the field of the message that `reply` is.
void AppendMessage(int field_number, Reply message, Reply& reply);

// Appends borrowed bytes as such a field.
void AppendBorrowed(int field_number, ReplyChunk chunk, Reply& reply);

}  // namespace attn
