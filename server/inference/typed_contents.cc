#include "server/inference/typed_contents.h"

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "inference/grpc_service.pb.h"
#include "server/message_fields.h"
#include "server/message_splitters.h"

namespace attn {
namespace {

using inference::InferTensorContents;

// The field that holds elements of a type; 0: none does.
int FieldOf(DataType dtype) {
  switch (dtype) {
    case DataType::kBool:
      return InferTensorContents::kBoolContentsFieldNumber;
    case DataType::kI32:
      return InferTensorContents::kIntContentsFieldNumber;
    case DataType::kI64:
      return InferTensorContents::kInt64ContentsFieldNumber;
    case DataType::kF32:
      return InferTensorContents::kFp32ContentsFieldNumber;
    case DataType::kF64:
      return InferTensorContents::kFp64ContentsFieldNumber;
    default:
      return 0;
  }
}

std::string FieldName(int number) {
  if (number == 0) return "absent: this datatype comes raw alone";
  return absl::StrCat(
      InferTensorContents::descriptor()->FindFieldByNumber(number)->name(),
      " alone");
}

template <typename Elements>
std::string RawBytes(const Elements& elements) {
  const auto size = static_cast<size_t>(elements.size());
  if (size == 0) return "";
  return {reinterpret_cast<const char*>(elements.data()),
          size * sizeof(*elements.data())};
}

std::string RawBytes(const InferTensorContents& contents, DataType dtype) {
  switch (dtype) {
    case DataType::kBool:
      return RawBytes(contents.bool_contents());
    case DataType::kI32:
      return RawBytes(contents.int_contents());
    case DataType::kI64:
      return RawBytes(contents.int64_contents());
    case DataType::kF32:
      return RawBytes(contents.fp32_contents());
    default:
      return RawBytes(contents.fp64_contents());
  }
}

bool HasFixedWidth(DataType dtype) {
  return dtype == DataType::kF32 || dtype == DataType::kF64;
}

std::string PathOf(std::string_view name) {
  return absl::StrCat("inputs.", std::string(name), ".contents");
}

// All of the contents' fields, one after another: protobuf's own way to merge.
absl::StatusOr<RawPlace> Join(const FragmentedBytes& message,
                              const std::vector<ByteRange>& contents,
                              std::string_view name, DataType dtype) {
  int64_t size = 0;
  for (const ByteRange& range : contents) size += range.size;
  // Before admission, and integers grow eightfold when parsed.
  if (size > static_cast<int64_t>(kMaxSmallBytes)) {
    return InvalidTensor(
        PathOf(name),
        absl::StrCat("must have at most ", kMaxSmallBytes,
                     " bytes, or be one packed field of floats"),
        absl::StrCat(size));
  }
  std::string text;
  for (const ByteRange& range : contents) {
    const size_t start = text.size();
    text.resize(start + static_cast<size_t>(range.size));
    message.CopyTo(range, text.data() + start);
  }
  InferTensorContents parsed;
  if (!parsed.ParseFromString(text)) return Undecodable();
  return RawPlace{
      .range = {}, .joined = RawBytes(parsed, dtype), .is_joined = true};
}

}  // namespace

absl::StatusOr<RawPlace> PlaceContents(const FragmentedBytes& message,
                                       const std::vector<ByteRange>& contents,
                                       std::string_view name, DataType dtype) {
  const int wanted = FieldOf(dtype);
  int64_t num_fields = 0;
  MessageField last;
  const auto look = [&](const MessageField& field) {
    ++num_fields;
    last = field;
    if (field.number == wanted) return absl::OkStatus();
    return InvalidTensor(PathOf(name),
                         absl::StrCat("must be ", FieldName(wanted)),
                         absl::StrCat("field ", field.number));
  };
  for (const ByteRange& range : contents) {
    ATTN_RETURN_IF_ERROR(ForEachField(message, range, look));
  }
  if (num_fields == 0) return RawPlace{};
  if (num_fields == 1 && last.has_payload && HasFixedWidth(dtype) &&
      last.payload.size % ElementBytes(dtype) == 0) {
    return RawPlace{.range = last.payload, .joined = {}};
  }
  return Join(message, contents, name, dtype);
}

}  // namespace attn
