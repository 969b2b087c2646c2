#include "core/checkpoint/safetensors_header.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "core/base/bounded_json.h"
#include "core/base/checked_math.h"
#include "core/base/status_macros.h"
#include "core/checkpoint/json_text.h"

namespace attn {
namespace {

using Json = nlohmann::json;

constexpr char kMetadata[] = "__metadata__";
// Object, entry, list: a header has no deeper value.
constexpr int kMaxDepth = 3;

constexpr std::array<std::pair<std::string_view, int64_t>, 15> kElementBytes = {
    {{"F64", 8},
     {"F32", 4},
     {"F16", 2},
     {"BF16", 2},
     {"F8_E4M3", 1},
     {"F8_E5M2", 1},
     {"I64", 8},
     {"I32", 4},
     {"I16", 2},
     {"I8", 1},
     {"U64", 8},
     {"U32", 4},
     {"U16", 2},
     {"U8", 1},
     {"BOOL", 1}}};

absl::Status Bad(const std::string& name, std::string_view rule,
                 const Json& found) {
  return absl::InvalidArgumentError(absl::StrCat("tensor ", ShownJson(name),
                                                 ": ", std::string(rule),
                                                 "; got ", ShownJson(found)));
}

// Refuses text that is no JSON, values too deep for a header, and an object
// that has a name twice, of which the parser would keep the last alone.
absl::StatusOr<Json> ParseJson(std::string_view text) {
  BoundedJson json =
      ParseBoundedJson(text, {.max_depth = kMaxDepth, .has_names_once = true});
  if (json.twice.has_value()) {
    return absl::InvalidArgumentError(
        absl::StrCat("the header must have each name once; got ",
                     ShownJson(*json.twice), " twice"));
  }
  if (!json.value.is_object()) {
    return absl::InvalidArgumentError(
        "the header must be a JSON object of tensors; got something else");
  }
  return std::move(json.value);
}

std::optional<int64_t> ElementBytesOf(std::string_view dtype) {
  for (const auto& [name, bytes] : kElementBytes) {
    if (name == dtype) return bytes;
  }
  return std::nullopt;
}

// A list of non-negative integers that fit int64.
std::optional<std::vector<int64_t>> ToSizes(const Json& value) {
  if (!value.is_array()) return std::nullopt;
  std::vector<int64_t> sizes;
  for (const Json& size : value) {
    if (!size.is_number_unsigned()) return std::nullopt;
    if (size.get<uint64_t>() > uint64_t{INT64_MAX}) return std::nullopt;
    sizes.push_back(static_cast<int64_t>(size.get<uint64_t>()));
  }
  return sizes;
}

absl::Status CheckFields(const std::string& name, const Json& entry) {
  constexpr std::string_view kRule =
      "must be an object of dtype, shape and data_offsets";
  if (!entry.is_object() || entry.size() != 3 || !entry.contains("dtype") ||
      !entry.contains("shape") || !entry.contains("data_offsets")) {
    return Bad(name, kRule, entry);
  }
  return absl::OkStatus();
}

// Bytes that a tensor of this type and shape takes; nothing if they overflow.
std::optional<int64_t> BytesOf(int64_t element_bytes,
                               const std::vector<int64_t>& shape) {
  const std::optional<int64_t> count = NumElements(shape);
  return count.has_value() ? CheckedMul(*count, element_bytes) : std::nullopt;
}

absl::StatusOr<StoredTensor> ReadTensor(const std::string& name,
                                        const Json& entry) {
  ATTN_RETURN_IF_ERROR(CheckFields(name, entry));
  const Json& dtype = entry["dtype"];
  const std::optional<int64_t> element_bytes =
      dtype.is_string() ? ElementBytesOf(dtype.get<std::string>())
                        : std::nullopt;
  if (!element_bytes.has_value()) {
    return Bad(name, "dtype must be one of the format's", dtype);
  }
  const auto shape = ToSizes(entry["shape"]);
  if (!shape.has_value() || std::ssize(*shape) > kMaxRank) {
    return Bad(name, "shape must be a list of at most 8 sizes", entry["shape"]);
  }
  const auto offsets = ToSizes(entry["data_offsets"]);
  if (!offsets.has_value() || offsets->size() != 2 ||
      (*offsets)[0] > (*offsets)[1]) {
    return Bad(name, "data_offsets must be a begin and an end behind it",
               entry["data_offsets"]);
  }
  StoredTensor tensor{.name = name,
                      .dtype = dtype.get<std::string>(),
                      .shape = Dims(shape->begin(), shape->end()),
                      .begin = (*offsets)[0],
                      .end = (*offsets)[1]};
  if (BytesOf(*element_bytes, *shape) != tensor.end - tensor.begin) {
    return Bad(name, "shape and dtype must fit the bytes of data_offsets",
               entry);
  }
  return tensor;
}

// The format's own words about a file, which may be missing and nobody here
// reads.
absl::Status CheckMetadata(const Json& header) {
  if (!header.contains(kMetadata)) return absl::OkStatus();
  const Json& metadata = header[kMetadata];
  const bool is_text =
      metadata.is_object() &&
      std::all_of(metadata.begin(), metadata.end(),
                  [](const Json& value) { return value.is_string(); });
  if (is_text) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      kMetadata, " must be an object of strings; got ", ShownJson(metadata)));
}

// No hole, no overlap, and the end where the file ends.
absl::Status CheckExtents(const std::vector<StoredTensor>& tensors,
                          int64_t data_bytes) {
  int64_t end = 0;
  for (const StoredTensor& tensor : tensors) {
    if (tensor.begin != end) {
      return Bad(
          tensor.name,
          absl::StrCat("must begin where the tensor before it ends, at ", end),
          tensor.begin);
    }
    end = tensor.end;
  }
  if (end == data_bytes) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("the tensors must end where the file does, at ", data_bytes,
                   " behind the header; got ", end));
}

}  // namespace

absl::StatusOr<int64_t> ParseSafetensorsSize(std::string_view bytes,
                                             int64_t file_bytes) {
  uint64_t size = 0;
  for (size_t i = kSafetensorsSizeBytes; i > 0; --i) {
    size = (size << 8) | static_cast<unsigned char>(bytes[i - 1]);
  }
  const int64_t most =
      std::min(kMaxSafetensorsHeaderBytes, file_bytes - kSafetensorsSizeBytes);
  if (size >= 2 && size <= static_cast<uint64_t>(most)) {
    return static_cast<int64_t>(size);
  }
  return absl::InvalidArgumentError(
      absl::StrCat("the header must have 2 to ", most, " bytes; got ", size));
}

absl::StatusOr<std::vector<StoredTensor>> ParseSafetensorsHeader(
    std::string_view json, int64_t data_bytes) {
  ATTN_ASSIGN_OR_RETURN(const Json header, ParseJson(json));
  ATTN_RETURN_IF_ERROR(CheckMetadata(header));
  std::vector<StoredTensor> tensors;
  for (const auto& [name, entry] : header.items()) {
    if (name == kMetadata) continue;
    ATTN_ASSIGN_OR_RETURN(StoredTensor tensor, ReadTensor(name, entry));
    tensors.push_back(std::move(tensor));
  }
  // Empty tensors lie where others begin.
  std::sort(tensors.begin(), tensors.end(),
            [](const StoredTensor& a, const StoredTensor& b) {
              return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
            });
  ATTN_RETURN_IF_ERROR(CheckExtents(tensors, data_bytes));
  return tensors;
}

}  // namespace attn
