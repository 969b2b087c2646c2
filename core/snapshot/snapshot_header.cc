#include "core/snapshot/snapshot_header.h"

#include <array>
#include <charconv>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "core/base/bounded_json.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/snapshot/page_tensors.h"
#include "core/snapshot/piece_checksums.h"

namespace attn {
namespace {

using Json = nlohmann::json;

constexpr char kMetadata[] = "__metadata__";
// Object, entry, list: the header has no deeper value.
constexpr int kMaxDepth = 3;

// What page data looks like, in words for whoever opens the file.
constexpr char kFloatLayout[] =
    "layers.N.key [pages, num_kv_heads, head_dim, 64] and layers.N.value "
    "[pages, num_kv_heads, 64, value_head_dim]: pages of 64 tokens from "
    "first_tokens[N] on, places behind layer_lengths[N] are 0";
constexpr char kPackedLayout[] =
    "layers.N.key [pages, num_kv_heads, head_dim, 64] times layers.N.key_scale "
    "[pages, num_kv_heads, head_dim, 1] and layers.N.value [pages, "
    "num_kv_heads, 64, value_head_dim] times layers.N.value_scale [pages, "
    "num_kv_heads, 64, 1]: full pages of 64 tokens from first_tokens[N] on, a "
    "scale below 0 marks codes of NaN and infinity; layers.N.tail_key and "
    "layers.N.tail_value: the page behind them, places behind "
    "layer_lengths[N] are 0";

constexpr std::array<std::pair<KvDtype, std::string_view>, 4> kDtypeNames = {
    {{KvDtype::kF32, "F32"},
     {KvDtype::kBF16, "BF16"},
     {KvDtype::kF16, "F16"},
     {KvDtype::kInt8, "INT8"}}};

std::string DtypeText(KvDtype dtype) {
  for (const auto& [value, name] : kDtypeNames) {
    if (value == dtype) return std::string(name);
  }
  return "";
}

template <typename Member>
std::string JoinLayers(const SnapshotContents& contents, Member member) {
  return absl::StrJoin(contents.layers, ",",
                       [member](std::string* out, const LayerExtent& layer) {
                         absl::StrAppend(out, layer.*member);
                       });
}

Json MetadataOf(const SnapshotContents& contents) {
  const KvSpec& spec = contents.spec;
  const Duration idle_ttl = spec.idle_ttl.value_or(Duration{});
  return {{"format", kSnapshotFormat},
          {"layout",
           FormatOf(spec).packs_full_pages ? kPackedLayout : kFloatLayout},
          {"session_id", contents.session_id},
          {"num_layers", absl::StrCat(spec.num_layers)},
          {"num_kv_heads", absl::StrCat(spec.num_kv_heads)},
          {"head_dim", absl::StrCat(spec.head_dim)},
          {"value_head_dim", absl::StrCat(spec.value_head_dim)},
          {"kv_dtype", DtypeText(spec.kv_dtype)},
          {"max_length", absl::StrCat(spec.max_length)},
          {"window", absl::StrCat(spec.window)},
          {"idle_ttl_ns", absl::StrCat(idle_ttl.count())},
          {"page_tokens", absl::StrCat(kPageTokens)},
          {"layer_lengths", JoinLayers(contents, &LayerExtent::length)},
          {"first_tokens", JoinLayers(contents, &LayerExtent::first_token)}};
}

// Adds entries one behind the other.
class EntryList {
 public:
  explicit EntryList(Json& header) : header_(header) {}

  void Add(const std::string& name, std::string_view dtype,
           const std::vector<int64_t>& shape, int64_t bytes) {
    header_[name] = {{"dtype", dtype},
                     {"shape", shape},
                     {"data_offsets", {offset_, offset_ + bytes}}};
    offset_ += bytes;
  }

 private:
  Json& header_;
  int64_t offset_ = 0;
};

Json HeaderOf(const SnapshotContents& contents) {
  Json header = {{kMetadata, MetadataOf(contents)}};
  EntryList entries(header);
  entries.Add("crc32c.header", "I64", {1}, kChecksumBytes);
  const int64_t num_heads = contents.spec.num_kv_heads;
  const KvFormat format = FormatOf(contents.spec);
  const std::vector<PageTensor> tensors = PageTensorsOf(format);
  for (int64_t i = 0; i < std::ssize(contents.layers); ++i) {
    for (const PageTensor& tensor : tensors) {
      const int64_t num_pages =
          PagesOf(tensor, format, contents.layers[i]).count;
      entries.Add(absl::StrCat("layers.", i, ".", std::string(tensor.name)),
                  tensor.dtype,
                  {num_pages, num_heads, tensor.rows, tensor.columns},
                  num_pages * num_heads * tensor.block_bytes());
    }
  }
  const int64_t num_pieces = NumPieces(contents.page_data_bytes());
  entries.Add("crc32c.pages", "I64", {num_pieces}, num_pieces * kChecksumBytes);
  return header;
}

std::string EncodeSize(size_t size) {
  std::string text(static_cast<size_t>(kHeaderSizeBytes), '\0');
  for (size_t i = 0; i < text.size(); ++i) {
    text[i] = static_cast<char>((uint64_t{size} >> (8 * i)) & 0xff);
  }
  return text;
}

// Reads fields of the metadata, which are all strings, and remembers the first
// that is missing or is no number. Thread-compatible.
class MetadataReader {
 public:
  // Borrows the header. An object without metadata reads as one without fields.
  explicit MetadataReader(const Json& header) {
    const auto it = header.find(kMetadata);
    if (it != header.end() && it->is_object()) metadata_ = &*it;
  }

  std::string Text(const char* name) {
    if (metadata_ != nullptr) {
      const auto it = metadata_->find(name);
      if (it != metadata_->end() && it->is_string()) {
        return *it->get_ptr<const std::string*>();
      }
    }
    Fail(name);
    return "";
  }

  int64_t Number(const char* name) { return ToNumber(name, Text(name)); }

  std::vector<int64_t> Numbers(const char* name) {
    std::vector<int64_t> numbers;
    const std::string text = Text(name);
    for (const absl::string_view part : absl::StrSplit(text, ',')) {
      numbers.push_back(ToNumber(name, {part.data(), part.size()}));
    }
    return numbers;
  }

  absl::Status status() const { return status_; }

 private:
  int64_t ToNumber(const char* name, std::string_view text) {
    int64_t number = 0;
    const char* end = text.data() + text.size();
    const auto read = std::from_chars(text.data(), end, number);
    if (read.ec != std::errc() || read.ptr != end) Fail(name);
    return number;
  }
  void Fail(const char* name) {
    status_.Update(Damaged(
        absl::StrCat(kMetadata, ".", name, " is missing or unreadable")));
  }

  const Json* metadata_ = nullptr;
  absl::Status status_;
};

absl::Status CheckFormat(MetadataReader& metadata) {
  const std::string format = metadata.Text("format");
  ATTN_RETURN_IF_ERROR(metadata.status());
  if (format == kSnapshotFormat) return absl::OkStatus();
  if (format.starts_with("attnserve.snapshot/") && format.size() < 32) {
    return NotServed("snapshot.format", format);
  }
  return Damaged("is of another format");
}

absl::StatusOr<KvSpec> ReadSpec(MetadataReader& metadata) {
  KvSpec spec{.num_layers = metadata.Number("num_layers"),
              .num_kv_heads = metadata.Number("num_kv_heads"),
              .head_dim = metadata.Number("head_dim"),
              .value_head_dim = metadata.Number("value_head_dim"),
              .max_length = metadata.Number("max_length"),
              .window = metadata.Number("window"),
              .idle_ttl = Duration(metadata.Number("idle_ttl_ns"))};
  const std::string dtype = metadata.Text("kv_dtype");
  ATTN_RETURN_IF_ERROR(metadata.status());
  for (const auto& [value, name] : kDtypeNames) {
    if (name == dtype) spec.kv_dtype = value;
  }
  if (spec.kv_dtype == KvDtype::kUnspecified) {
    return Damaged("kv_dtype is not known");
  }
  return spec;
}

absl::StatusOr<SnapshotContents> ReadContents(MetadataReader& metadata,
                                              const SessionLimits& limits) {
  ATTN_RETURN_IF_ERROR(CheckFormat(metadata));
  SnapshotContents contents;
  ATTN_ASSIGN_OR_RETURN(const KvSpec spec, ReadSpec(metadata));
  ATTN_ASSIGN_OR_RETURN(contents.spec, ResolveSpec(spec, limits));
  contents.session_id = metadata.Text("session_id");
  const std::vector<int64_t> lengths = metadata.Numbers("layer_lengths");
  const std::vector<int64_t> firsts = metadata.Numbers("first_tokens");
  ATTN_RETURN_IF_ERROR(metadata.status());
  if (lengths.size() != firsts.size()) {
    return Damaged("layer_lengths and first_tokens differ in number");
  }
  for (size_t i = 0; i < lengths.size(); ++i) {
    contents.layers.push_back({.length = lengths[i], .first_token = firsts[i]});
  }
  ATTN_RETURN_IF_ERROR(CheckContents(contents));
  return contents;
}

// A value as a message may repeat it.
std::string Shown(const Json& value) {
  constexpr size_t kMaxShown = 120;
  std::string text = value.dump(-1, ' ', /*ensure_ascii=*/true,
                                Json::error_handler_t::replace);
  if (text.size() > kMaxShown) text = text.substr(0, kMaxShown) + "...";
  return text;
}

// "" for two equal objects, else where they differ first.
std::string Difference(const std::string& path, const Json& expected,
                       const Json& found) {
  if (!found.is_object()) return path + " must be an object";
  for (const auto& [name, value] : expected.items()) {
    const auto it = found.find(name);
    if (it == found.end()) return absl::StrCat(path, name, " is missing");
    if (*it == value) continue;
    if (value.is_object()) {
      return Difference(absl::StrCat(path, name, "."), value, *it);
    }
    return absl::StrCat(path, name, " must be ", Shown(value), "; got ",
                        Shown(*it));
  }
  for (const auto& [name, value] : found.items()) {
    if (!expected.contains(name)) {
      return absl::StrCat(path, Shown(name), " is not known");
    }
  }
  return "";
}

}  // namespace

std::string EncodeHead(const SnapshotContents& contents) {
  std::string json = HeaderOf(contents).dump();
  const auto size =
      static_cast<int64_t>(json.size()) + kHeaderSizeBytes + kChecksumBytes;
  json.append(
      static_cast<size_t>(RoundUp(size, KvFormat::kBlockAlignment) - size),
      ' ');
  std::string head = EncodeSize(json.size()) + json;
  head += EncodeChecksum(Checksum(head));
  return head;
}

absl::StatusOr<int64_t> ParseHeaderSize(std::string_view bytes) {
  uint64_t size = 0;
  for (size_t i = static_cast<size_t>(kHeaderSizeBytes); i > 0; --i) {
    size = (size << 8) | static_cast<unsigned char>(bytes[i - 1]);
  }
  if (size < 2 || size > static_cast<uint64_t>(kMaxHeaderBytes)) {
    return Damaged(absl::StrCat("the header must have 2 to ", kMaxHeaderBytes,
                                " bytes; got ", size));
  }
  return static_cast<int64_t>(size);
}

absl::StatusOr<SnapshotContents> ParseHead(std::string_view head,
                                           const SessionLimits& limits) {
  const std::string_view json = head.substr(
      static_cast<size_t>(kHeaderSizeBytes),
      head.size() - static_cast<size_t>(kHeaderSizeBytes + kChecksumBytes));
  const std::string_view covered =
      head.substr(0, head.size() - static_cast<size_t>(kChecksumBytes));
  if (head.substr(covered.size()) != EncodeChecksum(Checksum(covered))) {
    return Damaged("the header's checksum is wrong");
  }
  const Json header = ParseBoundedJson(json, {.max_depth = kMaxDepth}).value;
  if (!header.is_object()) return Damaged("the header is not the JSON of one");
  MetadataReader metadata(header);
  ATTN_ASSIGN_OR_RETURN(SnapshotContents contents,
                        ReadContents(metadata, limits));
  const std::string difference =
      Difference("header: ", HeaderOf(contents), header);
  if (!difference.empty()) return Damaged(difference);
  return contents;
}

}  // namespace attn
