// The fields of a protobuf message one by one, by place instead of by value:
// how the decoder finds tensor bytes without copying them.
#pragma once

#include <cstdint>
#include <functional>

#include "absl/status/status.h"
#include "server/fragmented_bytes.h"

namespace attn {

struct MessageField {
  int number = 0;
  // Whether the wire type is "length-delimited"; then `payload` is its content.
  bool has_payload = false;
  ByteRange whole;  // Tag and value.
  ByteRange payload;
};

// Calls `visit` for every field of the message in `range`, in wire order, until
// it returns an error. INVALID_ARGUMENT / INVALID_OPTION when the bytes are no
// message.
absl::Status ForEachField(
    const FragmentedBytes& bytes, ByteRange range,
    const std::function<absl::Status(const MessageField&)>& visit);

// INVALID_ARGUMENT: the bytes are no message of the expected type.
absl::Status Undecodable();

}  // namespace attn
