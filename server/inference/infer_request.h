// A ModelInferRequest as the engine's request: the protocol's names and
// parameters become RequestSpec or ForwardSpec, and tensors stay where they lie
// in the message.
//
// Inputs Q, K, V and attn_mask are the native query, key, value and attn_mask;
// kv_lengths and the parameters are small fields. Of a layer's model hidden,
// context and attn_mask are ForwardRequest's. From there on it is the native
// path, attend_flow.h or forward_flow.h, which validates, admits and copies.
// Works on bytes alone, without gRPC, so that it can be fuzzed.
#pragma once

#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "server/forward_codec.h"
#include "server/fragmented_bytes.h"
#include "server/inference/model.h"
#include "server/wire_codec.h"

namespace attn {

// A result that a response may hold.
enum class InferOutput {
  kY,  // The output.
  kLse,
  kWeights,
  kTopIndices,
  kTopProbabilities,
};

// "Y" and so on; those of layers have attn.v1's names.
std::string_view OutputName(InferModel model, InferOutput output);

// What the response needs of its request.
struct InferReplyOptions {
  InferModel model = InferModel::kAttention;
  std::string model_name{};  // As the request has it.
  // In the order of the response.
  std::vector<InferOutput> outputs{};
};

// Can be moved, not copied: `bytes` may point into `joined`.
struct DecodedInfer {
  DecodedInfer() = default;
  DecodedInfer(DecodedInfer&&) = default;
  DecodedInfer& operator=(DecodedInfer&&) = default;

  // request.status not OK: refused; the id is set as far as it was found.
  DecodedRequest request;
  // The same for a layer's model, whole.
  DecodedForward forward;
  InferReplyOptions reply;
  // Whether the request names a model that may be ours, so that its fate counts
  // there.
  bool has_model = false;
  // The message and, behind it, tensors that came by value and had to be
  // joined. Borrows the message. What the places of the request lie in.
  FragmentedBytes bytes;
  std::deque<std::string> joined;
};

// Pass 1 over a ModelInferRequest. Errors: INVALID_ARGUMENT for bytes that are
// none, for unknown inputs, outputs and parameters, and for what the spec
// cannot hold; NOT_FOUND for unknown models; UNIMPLEMENTED for shared memory.
DecodedInfer DecodeInfer(const FragmentedBytes& message);

}  // namespace attn
