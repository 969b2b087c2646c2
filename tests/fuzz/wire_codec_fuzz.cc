// Any bytes as an AttendRequest, as a ForwardRequest and as a batch of either,
// in fragments: must decode or be refused, agree with protobuf's own parser
// about the tensors, and never claim a byte outside of the message. An
// AttendRequest that decodes goes through validation, too.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

#include "attn/v1/attention.pb.h"
#include "attn/v1/layer.pb.h"
#include "core/attention/validate.h"
#include "core/base/check.h"
#include "core/base/error.h"
#include "google/protobuf/stubs/logging.h"
#include "server/append_key.h"
#include "server/forward_codec.h"
#include "server/wire_codec.h"

namespace attn {
namespace {

void CheckPlace(const FragmentedBytes& bytes, const ByteRange& place) {
  ATTN_CHECK(place.offset >= 0 && place.size >= 0);
  ATTN_CHECK(place.offset + place.size <= bytes.size());
}

void CheckRequest(FragmentedBytes& bytes, ByteRange range) {
  const DecodedRequest decoded = DecodeRequest({bytes}, range);
  if (!decoded.status.ok()) return;
  CheckPlace(bytes, decoded.places.query);
  CheckPlace(bytes, decoded.places.key);
  CheckPlace(bytes, decoded.places.value);
  CheckPlace(bytes, decoded.places.attn_mask);
  CheckPlace(bytes, decoded.places.rope_cos);
  CheckPlace(bytes, decoded.places.rope_sin);
  std::string text(static_cast<size_t>(range.size), '\0');
  bytes.CopyTo(range, text.data());
  v1::AttendRequest parsed;
  // Groups nested a hundred deep are where the two parsers' limits differ.
  if (!parsed.ParseFromString(text)) return;
  ATTN_CHECK(static_cast<int64_t>(parsed.query().data().size()) ==
             decoded.places.query.size);
  const v1::RopeParams& rope = parsed.params().rope();
  ATTN_CHECK(static_cast<int64_t>(rope.cos().data().size()) ==
             decoded.places.rope_cos.size);
  ATTN_CHECK(static_cast<int64_t>(rope.sin().data().size()) ==
             decoded.places.rope_sin.size);
  const auto plan = ValidateRequest(decoded.spec, RequestLimits{});
  ATTN_CHECK(plan.ok() || ReasonOf(plan.status()) != Reason::kNone);
  if (plan.ok()) ATTN_CHECK(plan->input_bytes() <= bytes.size());
}

void CheckForward(FragmentedBytes& bytes, ByteRange range) {
  const DecodedForward decoded = DecodeForward({bytes}, range);
  if (!decoded.status.ok()) return;
  CheckPlace(bytes, decoded.places.hidden);
  CheckPlace(bytes, decoded.places.context);
  CheckPlace(bytes, decoded.places.attn_mask);
  ATTN_CHECK(HashForward(bytes, decoded) == HashForward(bytes, decoded));
  std::string text(static_cast<size_t>(range.size), '\0');
  bytes.CopyTo(range, text.data());
  v1::ForwardRequest parsed;
  if (!parsed.ParseFromString(text)) return;
  ATTN_CHECK(parsed.layer() == decoded.layer);
  ATTN_CHECK(static_cast<int64_t>(parsed.hidden().data().size()) ==
             decoded.places.hidden.size);
  ATTN_CHECK(static_cast<int64_t>(parsed.context().data().size()) ==
             decoded.places.context.size);
  ATTN_CHECK(parsed.positions_size() ==
             static_cast<int>(decoded.spec.positions.size()));
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
  attn::CheckRequest(bytes, bytes.whole());
  attn::CheckForward(bytes, bytes.whole());
  const auto requests = attn::DecodeBatch(bytes);
  if (!requests.ok()) return 0;
  for (const attn::ByteRange& range : *requests) {
    attn::CheckRequest(bytes, range);
    attn::CheckForward(bytes, range);
  }
  return 0;
}
