// Any bytes as a ModelInferRequest, in fragments: must decode or be refused,
// agree with protobuf's own parser about raw tensors, and never claim a byte
// outside of the message and what was joined. Whatever decodes goes through
// validation, too.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

#include "core/attention/validate.h"
#include "core/base/check.h"
#include "core/base/error.h"
#include "core/engine/forward_plan.h"
#include "google/protobuf/stubs/logging.h"
#include "inference/grpc_service.pb.h"
#include "server/inference/infer_request.h"

namespace attn {
namespace {

std::string BytesAt(const DecodedInfer& decoded, const ByteRange& place) {
  ATTN_CHECK(place.offset >= 0 && place.size >= 0);
  ATTN_CHECK(place.offset + place.size <= decoded.bytes.size());
  std::string bytes(static_cast<size_t>(place.size), '\0');
  decoded.bytes.CopyTo(place, bytes.data());
  return bytes;
}

// Raw bytes are those that protobuf's parser finds.
void CheckRaw(const inference::ModelInferRequest& parsed,
              const std::string& name, const std::string& found) {
  for (int i = 0; i < parsed.raw_input_contents_size(); ++i) {
    if (parsed.inputs(i).name() != name) continue;
    ATTN_CHECK(parsed.raw_input_contents(i) == found);
  }
}

void CheckAttention(const DecodedInfer& decoded) {
  const auto plan = ValidateRequest(decoded.request.spec, RequestLimits{});
  ATTN_CHECK(plan.ok() || ReasonOf(plan.status()) != Reason::kNone);
  if (plan.ok()) ATTN_CHECK(plan->input_bytes() <= decoded.bytes.size());
}

// As a layer of one channel takes it.
void CheckForward(const DecodedInfer& decoded) {
  AttentionLayer layer;
  layer.hidden_dim = layer.output_dim = 1;
  layer.num_q_heads = layer.num_kv_heads = layer.head_dim = 1;
  const auto plan =
      PlanForward(layer, decoded.forward.spec, /*has_session=*/false);
  ATTN_CHECK(plan.ok() || ReasonOf(plan.status()) != Reason::kNone);
}

void CheckRequest(const FragmentedBytes& bytes) {
  const DecodedInfer decoded = DecodeInfer(bytes);
  const DecodedRequest& request = decoded.request;
  if (!request.status.ok()) return;
  const bool is_layer = decoded.reply.model == InferModel::kLayer;
  const ForwardPlaces& places = decoded.forward.places;
  std::string text(static_cast<size_t>(bytes.size()), '\0');
  bytes.CopyTo(bytes.whole(), text.data());
  inference::ModelInferRequest parsed;
  // Groups nested a hundred deep are where the two parsers' limits differ.
  if (parsed.ParseFromString(text)) {
    CheckRaw(parsed, "Q", BytesAt(decoded, request.places.query));
    CheckRaw(parsed, "K", BytesAt(decoded, request.places.key));
    CheckRaw(parsed, "V", BytesAt(decoded, request.places.value));
    CheckRaw(parsed, "hidden", BytesAt(decoded, places.hidden));
    CheckRaw(parsed, "context", BytesAt(decoded, places.context));
    CheckRaw(parsed, "attn_mask",
             BytesAt(decoded,
                     is_layer ? places.attn_mask : request.places.attn_mask));
  }
  if (is_layer) return CheckForward(decoded);
  CheckAttention(decoded);
}

}  // namespace
}  // namespace attn

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  google::protobuf::SetLogHandler(nullptr);
  if (size == 0) return 0;
  // The first byte says how the network cut the rest.
  const size_t fragment = data[0] == 0 ? size : data[0];
  attn::FragmentedBytes bytes;
  for (size_t at = 1; at < size; at += fragment) {
    bytes.Append(data + at, std::min(fragment, size - at));
  }
  attn::CheckRequest(bytes);
  return 0;
}
