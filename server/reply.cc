#include "server/reply.h"

#include <utility>

#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/wire_format_lite.h"

namespace attn {
namespace {

using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedOutputStream;

void AppendVarint(uint64_t value, std::string& to) {
  uint8_t bytes[10];
  const uint8_t* end = CodedOutputStream::WriteVarint64ToArray(value, bytes);
  to.append(reinterpret_cast<const char*>(bytes),
            static_cast<size_t>(end - bytes));
}

// The tag and the length of a length-delimited field.
std::string FieldPrefix(int field_number, int64_t size) {
  std::string prefix;
  AppendVarint(WireFormatLite::MakeTag(
                   field_number, WireFormatLite::WIRETYPE_LENGTH_DELIMITED),
               prefix);
  AppendVarint(static_cast<uint64_t>(size), prefix);
  return prefix;
}

}  // namespace

int64_t ReplySize(const Reply& reply) {
  int64_t size = 0;
  for (const ReplyChunk& chunk : reply) size += chunk.size();
  return size;
}

void AppendText(std::string text, Reply& reply) {
  if (text.empty()) return;
  if (!reply.empty() && reply.back().data == nullptr) {
    reply.back().text += text;
  } else {
    reply.push_back({.text = std::move(text)});
  }
}

void AppendReply(Reply part, Reply& reply) {
  for (ReplyChunk& chunk : part) {
    if (chunk.data == nullptr) {
      AppendText(std::move(chunk.text), reply);
    } else {
      reply.push_back(std::move(chunk));
    }
  }
}

void AppendMessage(int field_number, Reply message, Reply& reply) {
  AppendText(FieldPrefix(field_number, ReplySize(message)), reply);
  AppendReply(std::move(message), reply);
}

void AppendBorrowed(int field_number, ReplyChunk chunk, Reply& reply) {
  AppendText(FieldPrefix(field_number, chunk.data_bytes), reply);
  reply.push_back(std::move(chunk));
}

}  // namespace attn
