// The request side of server/forward_codec.h.
#include <string_view>
#include <utility>

#include "attn/v1/layer.pb.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "server/forward_codec.h"
#include "server/message_fields.h"
#include "server/message_splitters.h"
#include "server/request_fields.h"

namespace attn {
namespace {

using Request = v1::ForwardRequest;

// Splits one ForwardRequest.
class ForwardSplitter {
 public:
  explicit ForwardSplitter(const FragmentedBytes& bytes)
      : bytes_(bytes),
        hidden_(bytes, "hidden"),
        context_(bytes, "context"),
        attn_mask_(bytes, "attn_mask"),
        small_(bytes, kMaxSmallBytes) {}

  absl::Status Split(ByteRange range) {
    return ForEachField(bytes_, range, [this](const MessageField& field) {
      return AddField(field);
    });
  }

  absl::Status ParseSmall(Request& small) const {
    return small.ParseFromString(small_.text()) ? absl::OkStatus()
                                                : Undecodable();
  }

  absl::Status FinishTensors(const RequestBytes& bytes, ForwardSpec& spec,
                             ForwardPlaces& places) const {
    ATTN_RETURN_IF_ERROR(hidden_.Finish(bytes, spec.hidden, places.hidden));
    ATTN_RETURN_IF_ERROR(context_.Finish(bytes, spec.context, places.context));
    return attn_mask_.Finish(bytes, spec.attn_mask, places.attn_mask);
  }

 private:
  absl::Status AddField(const MessageField& field) {
    if (field.has_payload) {
      switch (field.number) {
        case Request::kHiddenFieldNumber:
          return hidden_.Add(field.payload);
        case Request::kContextFieldNumber:
          return context_.Add(field.payload);
        case Request::kAttnMaskFieldNumber:
          return attn_mask_.Add(field.payload);
        default:
          break;
      }
    }
    // Unknown fields are skipped; they may be of any size.
    if (field.number > Request::kPriorityFieldNumber || small_.Add(field)) {
      return absl::OkStatus();
    }
    return TooManySmallBytes("request");
  }

  const FragmentedBytes& bytes_;
  TensorSplitter hidden_;
  TensorSplitter context_;
  TensorSplitter attn_mask_;
  SmallFields small_;
};

absl::Status CheckSmall(const Request& small) {
  ATTN_RETURN_IF_ERROR(CheckEnvelope(small.request_id(), small.priority()));
  if (small.layer().empty()) {
    return InvalidOption("layer", "is required", "nothing");
  }
  if (!small.output().has_shared()) return absl::OkStatus();
  return InvalidTensor("output.shared", "must be absent from a ForwardRequest",
                       "a region");
}

void ReadSmall(const Request& small, DecodedForward& decoded) {
  ForwardSpec& spec = decoded.spec;
  decoded.layer = small.layer();
  spec.kv_lengths.assign(small.kv_lengths().begin(), small.kv_lengths().end());
  if (small.has_causal()) {
    spec.causal = static_cast<CausalMode>(small.causal());
  }
  if (small.has_causal_offset()) spec.causal_offset = small.causal_offset();
  spec.positions.assign(small.positions().begin(), small.positions().end());
  spec.output = ReadOutputOptions(small.output());
  decoded.priority = static_cast<Priority>(small.priority());
  if (small.has_session()) decoded.session = ReadSessionRef(small.session());
}

absl::Status Decode(const RequestBytes& bytes, ByteRange range,
                    DecodedForward& decoded) {
  ForwardSplitter splitter(bytes.message);
  const absl::Status split = splitter.Split(range);
  Request small;
  const absl::Status parsed = splitter.ParseSmall(small);
  // Even a refused item answers with the id that it gave.
  decoded.request_id = EchoedId(small.request_id(), parsed.ok());
  ATTN_RETURN_IF_ERROR(split);
  ATTN_RETURN_IF_ERROR(parsed);
  ATTN_RETURN_IF_ERROR(CheckSmall(small));
  ReadSmall(small, decoded);
  return splitter.FinishTensors(bytes, decoded.spec, decoded.places);
}

}  // namespace

DecodedForward DecodeForward(const RequestBytes& bytes, ByteRange range) {
  DecodedForward decoded;
  decoded.status = Decode(bytes, range, decoded);
  return decoded;
}

}  // namespace attn
