// The inputs of a ModelInferRequest, as they are found: descriptions in
// `inputs`, bytes in `raw_input_contents` or by value. Part of DecodeInfer.
#pragma once

#include <deque>
#include <vector>

#include "absl/status/status.h"
#include "inference/grpc_service.pb.h"
#include "server/fragmented_bytes.h"
#include "server/inference/infer_request.h"
#include "server/message_fields.h"
#include "server/message_splitters.h"

namespace attn {

// Borrows the message. Thread-compatible.
class InferInputs {
 public:
  explicit InferInputs(const FragmentedBytes& message) : message_(message) {}

  // An InferInputTensor, and an entry of raw_input_contents.
  absl::Status AddInput(ByteRange range);
  absl::Status AddRaw(ByteRange range);

  // Tensors and kv_lengths into the request of decoded.reply.model.
  // INVALID_ARGUMENT for unknown or repeated names, unknown datatypes and
  // parameters, and where descriptions and bytes do not pair.
  absl::Status Finish(DecodedInfer& decoded) const;

 private:
  using Header = inference::ModelInferRequest::InferInputTensor;

  struct Input {
    SmallFields header;
    std::vector<ByteRange> contents;
  };

  absl::Status CheckPairs() const;
  // Where the bytes of input `index` are, in decoded.bytes.
  absl::StatusOr<ByteRange> Place(size_t index, const Header& header,
                                  DataType dtype, DecodedInfer& decoded) const;
  absl::Status FinishInput(size_t index, DecodedInfer& decoded) const;

  const FragmentedBytes& message_;
  std::deque<Input> inputs_;
  std::vector<ByteRange> raw_;
};

}  // namespace attn
