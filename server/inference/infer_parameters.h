// The parameters of a ModelInferRequest: options of attention under our own
// names, and those that the protocol reserves (sequence_id, timeout, priority).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "inference/grpc_service.pb.h"
#include "server/inference/model.h"
#include "server/wire_codec.h"

namespace attn {

// What parameters say beside the request's spec.
struct InferOptions {
  // Layers. Whether `causal` was there, and of the tokens.
  bool has_causal = false;
  std::vector<int64_t> positions;
  // attention_kv and layers. The session that is meant, and whether the call
  // begins it.
  SessionTarget sequence;
  bool starts_sequence = false;
  // Of the session that is begun; its heads and dims follow from the tensors,
  // or from the layer.
  KvSpec session;
  // Whether the parameters `weights` and `top_k` were there.
  bool has_weights = false;
  bool has_top_k = false;

  // The protocol means no sequence by 0 and by "".
  bool has_sequence() const {
    return !sequence.session_id.empty() && sequence.session_id != "0";
  }
};

// Reads every parameter of `request`, in the order of their names, into
// `decoded` and `options`. INVALID_ARGUMENT that names the first one that is
// unknown, of the wrong type or out of its range, or that belongs to another
// model; or that says something of a sequence which is not named or not begun.
absl::Status ReadParameters(const inference::ModelInferRequest& request,
                            InferModel model, DecodedRequest& decoded,
                            InferOptions& options);

}  // namespace attn
