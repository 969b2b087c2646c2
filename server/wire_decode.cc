// Pass 1 and 2 of server/wire_codec.h.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "attn/v1/attention.pb.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "server/message_fields.h"
#include "server/wire_codec.h"

namespace attn {
namespace {

// Generated code turns a byte of a packed field into eight; this bounds what a
// message can make us allocate before it is validated.
constexpr size_t kMaxSmallBytes = size_t{4} << 20;
constexpr size_t kMaxTensorHeaderBytes = 1024;
constexpr size_t kMaxRequestIdBytes = 256;

// The small fields of a message, verbatim, for generated code to parse.
class SmallFields {
 public:
  SmallFields(const FragmentedBytes& bytes, size_t max_bytes)
      : bytes_(bytes), max_bytes_(max_bytes) {}

  // False when the bound is passed.
  bool Add(const MessageField& field) {
    const auto size = static_cast<size_t>(field.whole.size);
    if (size > max_bytes_ - text_.size()) return false;
    const size_t start = text_.size();
    text_.resize(start + size);
    bytes_.CopyTo(field.whole, text_.data() + start);
    return true;
  }

  const std::string& text() const { return text_; }

 private:
  const FragmentedBytes& bytes_;
  const size_t max_bytes_;
  std::string text_;
};

absl::Status TooManySmallBytes(std::string_view field, size_t limit) {
  return InvalidOption(
      field,
      absl::StrCat("must have at most ", limit, " bytes besides tensor data"),
      "more");
}

// A tensor found so far: protobuf merges a message field that comes twice.
class TensorSplitter {
 public:
  TensorSplitter(const FragmentedBytes& bytes, std::string_view name)
      : bytes_(bytes), name_(name), header_(bytes, kMaxTensorHeaderBytes) {}

  absl::Status Add(ByteRange range) {
    is_present_ = true;
    return ForEachField(bytes_, range, [this](const MessageField& field) {
      return AddField(field);
    });
  }

  absl::Status Finish(TensorSpec& spec, ByteRange& place) const {
    v1::Tensor header;
    if (!header.ParseFromString(header_.text())) return Undecodable();
    spec.is_present = is_present_;
    spec.dtype = static_cast<DataType>(header.dtype());
    spec.dims.assign(header.shape().begin(), header.shape().end());
    spec.data_bytes = data_.size;
    place = data_;
    return absl::OkStatus();
  }

 private:
  absl::Status AddField(const MessageField& field) {
    const bool is_data = field.number == v1::Tensor::kDataFieldNumber;
    if (is_data && field.has_payload) data_ = field.payload;
    const bool is_known = field.number == v1::Tensor::kDtypeFieldNumber ||
                          field.number == v1::Tensor::kShapeFieldNumber;
    if (!is_known || header_.Add(field)) return absl::OkStatus();
    return InvalidTensor(absl::StrCat(std::string(name_), ".shape"),
                         absl::StrCat("must have at most ", kMaxRank, " axes"),
                         "more");
  }

  const FragmentedBytes& bytes_;
  const std::string_view name_;
  bool is_present_ = false;
  SmallFields header_;
  ByteRange data_;
};

// Splits one AttendRequest.
class RequestSplitter {
 public:
  explicit RequestSplitter(const FragmentedBytes& bytes)
      : bytes_(bytes),
        query_(bytes, "query"),
        key_(bytes, "key"),
        value_(bytes, "value"),
        attn_mask_(bytes, "attn_mask"),
        rope_cos_(bytes, "params.rope.cos"),
        rope_sin_(bytes, "params.rope.sin"),
        small_(bytes, kMaxSmallBytes),
        params_(bytes, kMaxSmallBytes),
        rope_(bytes, kMaxSmallBytes) {}

  absl::Status Split(ByteRange range) {
    return ForEachField(bytes_, range, [this](const MessageField& field) {
      return AddField(field);
    });
  }

  absl::Status ParseSmall(v1::AttendRequest& small) const {
    if (!small.ParseFromString(small_.text())) return Undecodable();
    v1::AttentionParams& params = *small.mutable_params();
    if (!params.MergeFromString(params_.text())) return Undecodable();
    if (!has_rope_ || params.mutable_rope()->MergeFromString(rope_.text())) {
      return absl::OkStatus();
    }
    return Undecodable();
  }

  absl::Status FinishTensors(RequestSpec& spec, TensorPlaces& places) const {
    ATTN_RETURN_IF_ERROR(query_.Finish(spec.query, places.query));
    ATTN_RETURN_IF_ERROR(key_.Finish(spec.key, places.key));
    ATTN_RETURN_IF_ERROR(value_.Finish(spec.value, places.value));
    ATTN_RETURN_IF_ERROR(attn_mask_.Finish(spec.attn_mask, places.attn_mask));
    ATTN_RETURN_IF_ERROR(rope_cos_.Finish(spec.rope_cos, places.rope_cos));
    return rope_sin_.Finish(spec.rope_sin, places.rope_sin);
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
    return TooManySmallBytes("request", kMaxSmallBytes);
  }

  absl::Status AddParams(ByteRange range) {
    return ForEachField(bytes_, range, [this](const MessageField& field) {
      using Params = v1::AttentionParams;
      if (field.has_payload && field.number == Params::kRopeFieldNumber) {
        has_rope_ = true;
        return AddRope(field.payload);
      }
      if (field.number > Params::kRopeFieldNumber || params_.Add(field)) {
        return absl::OkStatus();
      }
      return TooManySmallBytes("params", kMaxSmallBytes);
    });
  }

  absl::Status AddRope(ByteRange range) {
    return ForEachField(bytes_, range, [this](const MessageField& field) {
      using Rope = v1::RopeParams;
      if (field.has_payload && field.number == Rope::kCosFieldNumber) {
        return rope_cos_.Add(field.payload);
      }
      if (field.has_payload && field.number == Rope::kSinFieldNumber) {
        return rope_sin_.Add(field.payload);
      }
      if (field.number > Rope::kKeyPositionsFieldNumber || rope_.Add(field)) {
        return absl::OkStatus();
      }
      return TooManySmallBytes("params.rope", kMaxSmallBytes);
    });
  }

  const FragmentedBytes& bytes_;
  TensorSplitter query_;
  TensorSplitter key_;
  TensorSplitter value_;
  TensorSplitter attn_mask_;
  TensorSplitter rope_cos_;
  TensorSplitter rope_sin_;
  SmallFields small_;
  SmallFields params_;
  SmallFields rope_;
  bool has_rope_ = false;
};

RopeParams ReadRope(const v1::RopeParams& wire) {
  RopeParams rope;
  rope.base = wire.base();
  rope.rotary_dim = wire.rotary_dim();
  rope.is_interleaved = wire.interleaved();
  rope.scaling_factor = wire.scaling_factor();
  rope.positions.assign(wire.positions().begin(), wire.positions().end());
  rope.key_positions.assign(wire.key_positions().begin(),
                            wire.key_positions().end());
  return rope;
}

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
  if (wire.has_rope()) params.rope = ReadRope(wire.rope());
  return params;
}

OutputOptions ReadOutputOptions(const v1::OutputOptions& wire) {
  return {.dtype = static_cast<DataType>(wire.dtype()),
          .return_lse = wire.return_lse(),
          .weights = static_cast<WeightsMode>(wire.weights()),
          .top_k = wire.top_k()};
}

// The id as far as it may be echoed, cut between UTF-8 characters: a reply with
// half of one could not be parsed.
std::string EchoedId(const std::string& request_id) {
  if (request_id.size() <= kMaxRequestIdBytes) return request_id;
  size_t size = kMaxRequestIdBytes;
  while (size > 0 && (request_id[size] & 0xc0) == 0x80) --size;
  return request_id.substr(0, size);
}

// What the spec has no place for.
absl::Status CheckServed(const v1::AttendRequest& small) {
  if (small.request_id().size() > kMaxRequestIdBytes) {
    return InvalidOption(
        "request_id",
        absl::StrCat("must be at most ", kMaxRequestIdBytes, " bytes"),
        absl::StrCat(small.request_id().size()));
  }
  if (!v1::Priority_IsValid(small.priority())) {
    return InvalidOption("priority", "must be an enum number from 0 to 3",
                         absl::StrCat(static_cast<int>(small.priority())));
  }
  return small.has_session() ? NotServed("session") : absl::OkStatus();
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
}

absl::Status Decode(const FragmentedBytes& bytes, ByteRange range,
                    DecodedRequest& decoded) {
  RequestSplitter splitter(bytes);
  const absl::Status split = splitter.Split(range);
  v1::AttendRequest small;
  const absl::Status parsed = splitter.ParseSmall(small);
  // Even a refused item answers with the id that it gave.
  decoded.request_id = EchoedId(small.request_id());
  ATTN_RETURN_IF_ERROR(split);
  ATTN_RETURN_IF_ERROR(parsed);
  ATTN_RETURN_IF_ERROR(CheckServed(small));
  ReadSmall(small, decoded);
  return splitter.FinishTensors(decoded.spec, decoded.places);
}

}  // namespace

DecodedRequest DecodeRequest(const FragmentedBytes& bytes, ByteRange range) {
  DecodedRequest decoded;
  decoded.status = Decode(bytes, range, decoded);
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
  bytes.CopyTo(places.key, task.key());
  bytes.CopyTo(places.value, task.value());
  if (task.plan().has_mask) bytes.CopyTo(places.attn_mask, task.mask());
  if (!task.plan().rope.has_tables) return;
  bytes.CopyTo(places.rope_cos, task.cos());
  bytes.CopyTo(places.rope_sin, task.sin());
}

}  // namespace attn
