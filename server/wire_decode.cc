// Pass 1 and 2 of server/wire_codec.h.
#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "attn/v1/attention.pb.h"
#include "attn/v1/session.pb.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "server/message_fields.h"
#include "server/message_splitters.h"
#include "server/request_fields.h"
#include "server/wire_codec.h"

namespace attn {
namespace {

// Splits one AttendRequest.
class RequestSplitter {
 public:
  explicit RequestSplitter(const FragmentedBytes& bytes)
      : bytes_(bytes),
        query_(bytes, "query"),
        key_(bytes, "key"),
        value_(bytes, "value"),
        attn_mask_(bytes, "attn_mask"),
        rope_(bytes, "params.rope"),
        small_(bytes, kMaxSmallBytes),
        params_(bytes, kMaxSmallBytes) {}

  absl::Status Split(ByteRange range) {
    return ForEachField(bytes_, range, [this](const MessageField& field) {
      return AddField(field);
    });
  }

  absl::Status ParseSmall(v1::AttendRequest& small) const {
    if (!small.ParseFromString(small_.text())) return Undecodable();
    if (small.mutable_params()->MergeFromString(params_.text())) {
      return absl::OkStatus();
    }
    return Undecodable();
  }

  const RopeSplitter& rope() const { return rope_; }

  absl::Status FinishTensors(const RequestBytes& bytes, RequestSpec& spec,
                             TensorPlaces& places) const {
    ATTN_RETURN_IF_ERROR(query_.Finish(bytes, spec.query, places.query));
    ATTN_RETURN_IF_ERROR(key_.Finish(bytes, spec.key, places.key));
    ATTN_RETURN_IF_ERROR(value_.Finish(bytes, spec.value, places.value));
    ATTN_RETURN_IF_ERROR(
        attn_mask_.Finish(bytes, spec.attn_mask, places.attn_mask));
    ATTN_ASSIGN_OR_RETURN(spec.params.rope, rope_.Parse());
    return rope_.FinishTables(bytes, spec, places.rope_cos, places.rope_sin);
  }

 private:
  absl::Status AddField(const MessageField& field) {
    using Request = v1::AttendRequest;
    if (field.has_payload) {
      switch (field.number) {
        case Request::kQueryFieldNumber:
          return query_.Add(field.payload);
        case Request::kKeyFieldNumber:
          return key_.Add(field.payload);
        case Request::kValueFieldNumber:
          return value_.Add(field.payload);
        case Request::kAttnMaskFieldNumber:
          return attn_mask_.Add(field.payload);
        case Request::kParamsFieldNumber:
          return AddParams(field.payload);
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

  absl::Status AddParams(ByteRange range) {
    return ForEachField(bytes_, range, [this](const MessageField& field) {
      using Params = v1::AttentionParams;
      if (field.has_payload && field.number == Params::kRopeFieldNumber) {
        return rope_.Add(field.payload);
      }
      if (field.number > Params::kRopeFieldNumber || params_.Add(field)) {
        return absl::OkStatus();
      }
      return TooManySmallBytes("params");
    });
  }

  const FragmentedBytes& bytes_;
  TensorSplitter query_;
  TensorSplitter key_;
  TensorSplitter value_;
  TensorSplitter attn_mask_;
  RopeSplitter rope_;
  SmallFields small_;
  SmallFields params_;
};

AttentionParams ReadParams(const v1::AttentionParams& wire) {
  AttentionParams params;
  if (wire.has_scale()) params.scale = wire.scale();
  params.causal = static_cast<CausalMode>(wire.causal());
  if (wire.has_causal_offset()) params.causal_offset = wire.causal_offset();
  if (wire.has_left_window()) params.left_window = wire.left_window();
  if (wire.has_right_window()) params.right_window = wire.right_window();
  params.softcap = wire.softcap();
  params.alibi_slopes.assign(wire.alibi_slopes().begin(),
                             wire.alibi_slopes().end());
  params.sinks.assign(wire.sinks().begin(), wire.sinks().end());
  return params;
}

void ReadSmall(const v1::AttendRequest& small, DecodedRequest& decoded) {
  RequestSpec& spec = decoded.spec;
  spec.layout = static_cast<Layout>(small.layout());
  spec.num_q_heads = small.num_q_heads();
  spec.num_kv_heads = small.num_kv_heads();
  spec.kv_lengths.assign(small.kv_lengths().begin(), small.kv_lengths().end());
  spec.params = ReadParams(small.params());
  spec.output = ReadOutputOptions(small.output());
  decoded.priority = static_cast<Priority>(small.priority());
  if (small.has_session()) decoded.session = ReadSessionRef(small.session());
}

absl::Status ReadSharedOutput(const RequestBytes& bytes,
                              const v1::OutputOptions& wire,
                              DecodedRequest& decoded) {
  if (!wire.has_shared()) return absl::OkStatus();
  ATTN_ASSIGN_OR_RETURN(SharedMemory::Bytes found,
                        FindShared(bytes, "output", wire.shared()));
  decoded.shared_output = SharedOutput{.bytes = std::move(found),
                                       .region_id = wire.shared().region_id(),
                                       .offset = wire.shared().offset()};
  return absl::OkStatus();
}

absl::Status Decode(const RequestBytes& bytes, ByteRange range,
                    DecodedRequest& decoded) {
  RequestSplitter splitter(bytes.message);
  const absl::Status split = splitter.Split(range);
  v1::AttendRequest small;
  const absl::Status parsed = splitter.ParseSmall(small);
  // Even a refused item answers with the id that it gave.
  decoded.request_id = EchoedId(small.request_id(), parsed.ok());
  ATTN_RETURN_IF_ERROR(split);
  ATTN_RETURN_IF_ERROR(parsed);
  ATTN_RETURN_IF_ERROR(CheckEnvelope(small.request_id(), small.priority()));
  ReadSmall(small, decoded);
  ATTN_RETURN_IF_ERROR(ReadSharedOutput(bytes, small.output(), decoded));
  return splitter.FinishTensors(bytes, decoded.spec, decoded.places);
}

// Splits an AppendKvRequest.
absl::Status SplitAppend(const RequestBytes& bytes, DecodedAppend& decoded) {
  using Request = v1::AppendKvRequest;
  const FragmentedBytes& message = bytes.message;
  TensorSplitter key(message, "key");
  TensorSplitter value(message, "value");
  RopeSplitter rope(message, "rope");
  SmallFields small(message, kMaxSmallBytes);
  const auto add = [&](const MessageField& field) -> absl::Status {
    if (field.has_payload && field.number == Request::kKeyFieldNumber) {
      return key.Add(field.payload);
    }
    if (field.has_payload && field.number == Request::kValueFieldNumber) {
      return value.Add(field.payload);
    }
    if (field.has_payload && field.number == Request::kRopeFieldNumber) {
      return rope.Add(field.payload);
    }
    if (field.number > Request::kRopeFieldNumber || small.Add(field)) {
      return absl::OkStatus();
    }
    return TooManySmallBytes("request");
  };
  ATTN_RETURN_IF_ERROR(ForEachField(message, message.whole(), add));
  Request wire;
  if (!wire.ParseFromString(small.text())) return Undecodable();
  decoded.session = ReadSessionRef(wire.session());
  RequestSpec& spec = decoded.spec;
  spec.rope_field = "rope";
  spec.layout = static_cast<Layout>(wire.layout());
  ATTN_RETURN_IF_ERROR(key.Finish(bytes, spec.key, decoded.places.key));
  ATTN_RETURN_IF_ERROR(value.Finish(bytes, spec.value, decoded.places.value));
  ATTN_ASSIGN_OR_RETURN(spec.params.rope, rope.Parse());
  // There is no query here; positions alone serve the keys.
  if (spec.params.rope.has_value() && spec.params.rope->key_positions.empty()) {
    spec.params.rope->key_positions.swap(spec.params.rope->positions);
  }
  return rope.FinishTables(bytes, spec, decoded.places.rope_cos,
                           decoded.places.rope_sin);
}

}  // namespace

absl::Status CheckId(std::string_view field, const std::string& id) {
  if (id.size() <= kMaxRequestIdBytes) return absl::OkStatus();
  return InvalidOption(
      field, absl::StrCat("must be at most ", kMaxRequestIdBytes, " bytes"),
      absl::StrCat(id.size()));
}

std::string EchoedId(const std::string& id, bool is_parsed) {
  const auto is_ascii = [](unsigned char c) { return c < 0x80; };
  if (!is_parsed && !std::all_of(id.begin(), id.end(), is_ascii)) return "";
  if (id.size() <= kMaxRequestIdBytes) return id;
  size_t size = kMaxRequestIdBytes;
  while (size > 0 && (id[size] & 0xc0) == 0x80) --size;
  return id.substr(0, size);
}

int64_t ToLength(uint64_t length) {
  constexpr auto kLongest = uint64_t{1} << 62;
  return static_cast<int64_t>(std::min(length, kLongest));
}

DecodedRequest DecodeRequest(const RequestBytes& bytes, ByteRange range) {
  DecodedRequest decoded;
  decoded.status = Decode(bytes, range, decoded);
  return decoded;
}

DecodedAppend DecodeAppend(const RequestBytes& bytes) {
  DecodedAppend decoded;
  decoded.status = SplitAppend(bytes, decoded);
  return decoded;
}

absl::StatusOr<std::vector<ByteRange>> DecodeBatch(
    const FragmentedBytes& bytes) {
  std::vector<ByteRange> requests;
  ATTN_RETURN_IF_ERROR(ForEachField(
      bytes, bytes.whole(), [&requests](const MessageField& field) {
        constexpr int kRequests = v1::AttendBatchRequest::kRequestsFieldNumber;
        if (field.number != kRequests || !field.has_payload) {
          return absl::OkStatus();
        }
        if (static_cast<int64_t>(requests.size()) == kMaxBatchRequests) {
          return InvalidOption(
              "requests",
              absl::StrCat("must have at most ", kMaxBatchRequests, " entries"),
              "more");
        }
        requests.push_back(field.payload);
        return absl::OkStatus();
      }));
  return requests;
}

void CopyTensors(const FragmentedBytes& bytes, const TensorPlaces& places,
                 AttentionTask& task) {
  bytes.CopyTo(places.query, task.query());
  if (!task.plan().has_session) {
    bytes.CopyTo(places.key, task.key());
    bytes.CopyTo(places.value, task.value());
  }
  if (task.plan().has_mask) bytes.CopyTo(places.attn_mask, task.mask());
  if (!task.plan().rope.has_tables) return;
  bytes.CopyTo(places.rope_cos, task.cos());
  bytes.CopyTo(places.rope_sin, task.sin());
}

absl::Status CheckSharedOutput(const DecodedRequest& decoded,
                               const AttentionPlan& plan) {
  if (!decoded.shared_output.has_value() ||
      decoded.shared_output->bytes.size == plan.output_bytes) {
    return absl::OkStatus();
  }
  return InvalidTensor(
      "output.shared.size",
      absl::StrCat("must be the output's ", plan.output_bytes, " bytes"),
      absl::StrCat(decoded.shared_output->bytes.size));
}

void CopySharedOutput(const AttendOutcome& outcome) {
  if (!outcome.shared_output.has_value()) return;
  const SharedMemory::Bytes& to = outcome.shared_output->bytes;
  if (to.size == 0) return;
  std::memcpy(to.data, outcome.task->output(), static_cast<size_t>(to.size));
}

}  // namespace attn
