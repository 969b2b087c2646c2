// gRPC's ByteBuffer to and from the codec's terms, without copying tensors.
#pragma once

#include <vector>

#include "grpcpp/support/byte_buffer.h"
#include "server/fragmented_bytes.h"
#include "server/wire_codec.h"

namespace attn {

// A received message's bytes, held in place. Thread-compatible.
class ReceivedMessage {
 public:
  // Takes references to the buffer's slices.
  explicit ReceivedMessage(const grpc::ByteBuffer& buffer);

  // Decoding adds to it what lies in shared memory.
  FragmentedBytes& bytes() { return bytes_; }

 private:
  std::vector<grpc::Slice> slices_;
  FragmentedBytes bytes_;
};

// The reply as slices; borrowed chunks stay borrowed and are released when gRPC
// has sent them.
grpc::ByteBuffer ToByteBuffer(Reply reply);

}  // namespace attn
