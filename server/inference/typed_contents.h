// Tensors that come by value (InferTensorContents) instead of raw. Elements of
// 4 and 8 bytes that lie in one packed field are used where they are, since
// that is the raw form; others are joined into memory of their own and may be
// no longer than other small fields.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "core/tensor/dtype.h"
#include "server/fragmented_bytes.h"

namespace attn {

// Where a tensor's raw bytes are: in the message, or joined.
struct RawPlace {
  ByteRange range;
  std::string joined;
  bool is_joined = false;
};

// `contents`: every InferTensorContents of one input, which protobuf merges.
// INVALID_ARGUMENT for "inputs.<name>.contents" where they are not of `dtype`
// alone, cannot be decoded, or are too long to be joined.
absl::StatusOr<RawPlace> PlaceContents(const FragmentedBytes& message,
                                       const std::vector<ByteRange>& contents,
                                       std::string_view name, DataType dtype);

}  // namespace attn
