#include "server/message_splitters.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "attn/v1/types.pb.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"

namespace attn {

bool SmallFields::Add(const MessageField& field) {
  const auto size = static_cast<size_t>(field.whole.size);
  if (size > max_bytes_ - text_.size()) return false;
  const size_t start = text_.size();
  text_.resize(start + size);
  bytes_.CopyTo(field.whole, text_.data() + start);
  return true;
}

absl::Status TooManySmallBytes(std::string_view field) {
  return InvalidOption(field,
                       absl::StrCat("must have at most ", kMaxSmallBytes,
                                    " bytes besides tensor data"),
                       "more");
}

absl::StatusOr<SharedMemory::Bytes> FindShared(const RequestBytes& bytes,
                                               std::string_view name,
                                               const v1::SharedRange& shared) {
  if (bytes.shared_memory == nullptr) {
    return InvalidTensor(
        absl::StrCat(std::string(name), ".shared"),
        "must be absent: the server runs without --shared-memory-socket",
        "a region");
  }
  return bytes.shared_memory->Find(name, {.region_id = shared.region_id(),
                                          .offset = shared.offset(),
                                          .size = shared.size()});
}

absl::Status TensorSplitter::Add(ByteRange range) {
  is_present_ = true;
  return ForEachField(bytes_, range, [this](const MessageField& field) {
    return AddField(field);
  });
}

absl::Status TensorSplitter::Finish(const RequestBytes& bytes, TensorSpec& spec,
                                    ByteRange& place) const {
  v1::Tensor header;
  if (!header.ParseFromString(header_.text())) return Undecodable();
  spec.is_present = is_present_;
  spec.dtype = static_cast<DataType>(header.dtype());
  spec.dims.assign(header.shape().begin(), header.shape().end());
  place = data_;
  if (header.has_shared()) {
    ATTN_ASSIGN_OR_RETURN(place, PlaceOfShared(bytes, header.shared()));
  }
  spec.data_bytes = place.size;
  return absl::OkStatus();
}

absl::StatusOr<ByteRange> TensorSplitter::PlaceOfShared(
    const RequestBytes& bytes, const v1::SharedRange& shared) const {
  const std::string name(name_);
  if (data_.size > 0) {
    return InvalidTensor(absl::StrCat(name, ".data"),
                         "must be empty beside shared",
                         absl::StrCat(data_.size, " bytes"));
  }
  ATTN_ASSIGN_OR_RETURN(SharedMemory::Bytes found,
                        FindShared(bytes, name, shared));
  return bytes.message.Append(found.data, static_cast<size_t>(found.size),
                              std::move(found.region));
}

absl::Status TensorSplitter::AddField(const MessageField& field) {
  const bool is_data = field.number == v1::Tensor::kDataFieldNumber;
  if (is_data && field.has_payload) data_ = field.payload;
  const bool is_known = field.number == v1::Tensor::kDtypeFieldNumber ||
                        field.number == v1::Tensor::kShapeFieldNumber ||
                        field.number == v1::Tensor::kSharedFieldNumber;
  if (!is_known || header_.Add(field)) return absl::OkStatus();
  return InvalidTensor(absl::StrCat(std::string(name_), ".shape"),
                       absl::StrCat("must have at most ", kMaxRank, " axes"),
                       "more");
}

RopeSplitter::RopeSplitter(const FragmentedBytes& bytes,
                           const std::string& name)
    : bytes_(bytes),
      name_(name),
      cos_name_(name + ".cos"),
      sin_name_(name + ".sin"),
      small_(bytes, kMaxSmallBytes),
      cos_(bytes, cos_name_),
      sin_(bytes, sin_name_) {}

absl::Status RopeSplitter::Add(ByteRange range) {
  is_present_ = true;
  return ForEachField(bytes_, range, [this](const MessageField& field) {
    return AddField(field);
  });
}

absl::Status RopeSplitter::AddField(const MessageField& field) {
  using Rope = v1::RopeParams;
  if (field.has_payload && field.number == Rope::kCosFieldNumber) {
    return cos_.Add(field.payload);
  }
  if (field.has_payload && field.number == Rope::kSinFieldNumber) {
    return sin_.Add(field.payload);
  }
  if (field.number > Rope::kKeyPositionsFieldNumber || small_.Add(field)) {
    return absl::OkStatus();
  }
  return TooManySmallBytes(name_);
}

absl::StatusOr<std::optional<RopeParams>> RopeSplitter::Parse() const {
  if (!is_present_) return std::nullopt;
  v1::RopeParams wire;
  if (!wire.ParseFromString(small_.text())) return Undecodable();
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

absl::Status RopeSplitter::FinishTables(const RequestBytes& bytes,
                                        RequestSpec& spec, ByteRange& cos,
                                        ByteRange& sin) const {
  ATTN_RETURN_IF_ERROR(cos_.Finish(bytes, spec.rope_cos, cos));
  return sin_.Finish(bytes, spec.rope_sin, sin);
}

}  // namespace attn
