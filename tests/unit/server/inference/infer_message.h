// ModelInferRequests for tests, and their bytes in fragments.
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "inference/grpc_service.pb.h"
#include "server/inference/infer_request.h"
#include "tests/unit/server/fragmented_message.h"

namespace attn::test {

// Bytes cut into fragments of the given size. Must outlive what it decodes to.
class InferMessage {
 public:
  explicit InferMessage(std::string text, size_t fragment = SIZE_MAX)
      : message_(std::move(text), fragment) {}
  explicit InferMessage(const inference::ModelInferRequest& request,
                        size_t fragment = SIZE_MAX)
      : InferMessage(request.SerializeAsString(), fragment) {}

  const FragmentedBytes& bytes() const { return message_.bytes(); }
  DecodedInfer Decode() const { return DecodeInfer(bytes()); }

 private:
  const FragmentedMessage message_;
};

// What a place of a decoded request holds.
inline std::string BytesAt(const DecodedInfer& decoded, ByteRange place) {
  std::string bytes(static_cast<size_t>(place.size), '\0');
  decoded.bytes.CopyTo(place, bytes.data());
  return bytes;
}

// The status of a request that is decoded and dropped.
inline absl::Status DecodeStatus(const inference::ModelInferRequest& request) {
  return InferMessage(request).Decode().request.status;
}

inline void AddInput(const std::string& name, const std::string& datatype,
                     const std::vector<int64_t>& shape, const std::string& raw,
                     inference::ModelInferRequest& request) {
  auto& input = *request.add_inputs();
  input.set_name(name);
  input.set_datatype(datatype);
  input.mutable_shape()->Add(shape.begin(), shape.end());
  request.add_raw_input_contents(raw);
}

// Q [1, 2, 1, 1], K and V [1, 1, 2, 1].
inline inference::ModelInferRequest RawRequest(
    const std::string& model = "attention") {
  inference::ModelInferRequest request;
  request.set_model_name(model);
  request.set_id("id-7");
  AddInput("Q", "FP32", {1, 2, 1, 1}, "qqqqQQQQ", request);
  AddInput("K", "FP32", {1, 1, 2, 1}, "kkkkKKKK", request);
  AddInput("V", "FP32", {1, 1, 2, 1}, "vvvvVVVV", request);
  return request;
}

// The same as a step of sequence 5.
inline inference::ModelInferRequest SequenceRequest(bool is_start = false) {
  inference::ModelInferRequest request = RawRequest("attention_kv");
  (*request.mutable_parameters())["sequence_id"].set_int64_param(5);
  (*request.mutable_parameters())["sequence_start"].set_bool_param(is_start);
  return request;
}

}  // namespace attn::test
