#include "server/byte_buffer.h"

#include <memory>
#include <utility>

namespace attn {
namespace {

using Owner = std::shared_ptr<const void>;

grpc::Slice ToSlice(ReplyChunk chunk) {
  if (chunk.data == nullptr) return grpc::Slice(chunk.text);
  auto owner = std::make_unique<Owner>(std::move(chunk.owner));
  // gRPC wants a mutable pointer and does not write through it.
  return grpc::Slice(
      const_cast<std::byte*>(chunk.data), static_cast<size_t>(chunk.data_bytes),
      [](void* owned) { std::unique_ptr<Owner>(static_cast<Owner*>(owned)); },
      owner.release());
}

}  // namespace

ReceivedMessage::ReceivedMessage(const grpc::ByteBuffer& buffer) {
  // Fails only for an invalid buffer, which then reads as an empty message.
  if (!buffer.Dump(&slices_).ok()) slices_.clear();
  for (const grpc::Slice& slice : slices_) {
    bytes_.Append(slice.begin(), slice.size());
  }
}

grpc::ByteBuffer ToByteBuffer(Reply reply) {
  std::vector<grpc::Slice> slices;
  slices.reserve(reply.size());
  for (ReplyChunk& chunk : reply) slices.push_back(ToSlice(std::move(chunk)));
  return grpc::ByteBuffer(slices.data(), slices.size());
}

}  // namespace attn
