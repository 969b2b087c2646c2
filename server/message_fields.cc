#include "server/message_fields.h"

#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/wire_format_lite.h"

namespace attn {
namespace {

using google::protobuf::internal::WireFormatLite;

// Skips the value after `tag` and notes where it lies. False when it is cut
// off or no value.
bool ReadValue(uint32_t tag, int64_t start, ByteRange range,
               google::protobuf::io::CodedInputStream& input,
               MessageField& field) {
  field.number = WireFormatLite::GetTagFieldNumber(tag);
  field.has_payload = WireFormatLite::GetTagWireType(tag) ==
                      WireFormatLite::WIRETYPE_LENGTH_DELIMITED;
  if (field.number == 0) return false;
  if (field.has_payload) {
    uint32_t size = 0;
    if (!input.ReadVarint32(&size)) return false;
    field.payload = {range.offset + input.CurrentPosition(), size};
    const int64_t left = range.size - input.CurrentPosition();
    if (size > left || !input.Skip(static_cast<int>(size))) return false;
  } else if (!WireFormatLite::SkipField(&input, tag)) {
    return false;
  }
  field.whole = {range.offset + start, input.CurrentPosition() - start};
  return true;
}

}  // namespace

absl::Status Undecodable() {
  return MakeError(absl::StatusCode::kInvalidArgument, Reason::kInvalidOption,
                   "the message cannot be decoded");
}

absl::Status ForEachField(
    const FragmentedBytes& bytes, ByteRange range,
    const std::function<absl::Status(const MessageField&)>& visit) {
  FragmentStream stream(bytes, range);
  google::protobuf::io::CodedInputStream input(&stream);
  for (;;) {
    const int64_t start = input.CurrentPosition();
    if (start == range.size) return absl::OkStatus();
    const uint32_t tag = input.ReadTag();
    MessageField field;
    if (tag == 0 || !ReadValue(tag, start, range, input, field)) {
      return Undecodable();
    }
    ATTN_RETURN_IF_ERROR(visit(field));
  }
}

}  // namespace attn
