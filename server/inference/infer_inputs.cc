#include "server/inference/infer_inputs.h"

#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "core/base/checked_math.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "server/inference/datatype.h"
#include "server/inference/shown_text.h"
#include "server/inference/typed_contents.h"

namespace attn {
namespace {

// More than any model has; each costs memory of ours.
constexpr size_t kMaxInputs = 16;
constexpr size_t kMaxHeaderBytes = 4096;

std::string IndexPath(size_t index) {
  return absl::StrCat("inputs[", index, "]");
}

std::string Path(std::string_view name, std::string_view part) {
  return absl::StrCat("inputs.", std::string(name), ".", std::string(part));
}

absl::Status TooManyEntries(std::string_view field) {
  return InvalidOption(
      field, absl::StrCat("must have at most ", kMaxInputs, " entries"),
      "more");
}

// Where an input goes: its description and place, or the numbers that it holds.
struct Slot {
  TensorSpec* spec = nullptr;
  ByteRange* place = nullptr;
  std::vector<int64_t>* numbers = nullptr;

  bool is_taken() const {
    return numbers == nullptr ? spec->is_present : !numbers->empty();
  }
};
using Slots = std::map<std::string_view, Slot>;

constexpr std::string_view kKvLengths = "kv_lengths";

Slots SlotsOfAttention(DecodedRequest& request) {
  RequestSpec& spec = request.spec;
  TensorPlaces& places = request.places;
  return {{"Q", {&spec.query, &places.query}},
          {"K", {&spec.key, &places.key}},
          {"V", {&spec.value, &places.value}},
          {"attn_mask", {&spec.attn_mask, &places.attn_mask}},
          {kKvLengths, {.numbers = &spec.kv_lengths}}};
}

Slots SlotsOfLayer(DecodedForward& request) {
  ForwardSpec& spec = request.spec;
  ForwardPlaces& places = request.places;
  return {{"hidden", {&spec.hidden, &places.hidden}},
          {"context", {&spec.context, &places.context}},
          {"attn_mask", {&spec.attn_mask, &places.attn_mask}},
          {kKvLengths, {.numbers = &spec.kv_lengths}}};
}

absl::StatusOr<Slot> FindSlot(std::string_view path, const std::string& name,
                              DecodedInfer& decoded) {
  const bool is_layer = decoded.reply.model == InferModel::kLayer;
  const Slots slots = is_layer ? SlotsOfLayer(decoded.forward)
                               : SlotsOfAttention(decoded.request);
  if (const auto found = slots.find(name); found != slots.end()) {
    return found->second;
  }
  return InvalidOption(path,
                       is_layer
                           ? "must be hidden, context, attn_mask or kv_lengths"
                           : "must be Q, K, V, attn_mask or kv_lengths",
                       ShownText(name));
}

absl::Status CheckParameters(
    const inference::ModelInferRequest::InferInputTensor& header) {
  if (header.parameters().empty()) return absl::OkStatus();
  const std::string name = header.parameters().begin()->first;
  if (name.rfind("shared_memory_", 0) == 0) {
    return NotServed(Path(header.name(), "parameters.shared_memory_region"));
  }
  return InvalidOption(Path(header.name(), "parameters"), "must be empty",
                       ShownText(name));
}

// [B], or [B, 1] from clients that put a batch axis in front.
absl::Status ReadKvLengths(const FragmentedBytes& bytes, ByteRange place,
                           const TensorSpec& tensor,
                           std::vector<int64_t>& lengths) {
  if (tensor.dtype != DataType::kI64) {
    return InvalidTensor("inputs.kv_lengths.datatype", "must be INT64",
                         std::string(ToDatatype(tensor.dtype)));
  }
  const bool is_list = tensor.dims.size() == 1 ||
                       (tensor.dims.size() == 2 && tensor.dims[1] == 1);
  if (!is_list) {
    return InvalidTensor("inputs.kv_lengths.shape", "must be [B] or [B, 1]",
                         ToString(tensor.dims));
  }
  const int64_t count = tensor.dims[0];
  constexpr auto kMaxCount = int64_t{kMaxSmallBytes / sizeof(int64_t)};
  if (count < 1 || count > kMaxCount) {
    return InvalidTensor("inputs.kv_lengths.shape[0]",
                         absl::StrCat("must be from 1 to ", kMaxCount),
                         absl::StrCat(count));
  }
  const int64_t wanted = count * int64_t{sizeof(int64_t)};
  if (place.size != wanted) {
    return InvalidTensor("inputs.kv_lengths",
                         absl::StrCat("must hold ", wanted, " bytes (shape ",
                                      ToString(tensor.dims), " of INT64)"),
                         absl::StrCat(place.size));
  }
  lengths.resize(static_cast<size_t>(count));
  bytes.CopyTo(place, lengths.data());
  return absl::OkStatus();
}

}  // namespace

absl::Status InferInputs::AddInput(ByteRange range) {
  if (inputs_.size() == kMaxInputs) return TooManyEntries("inputs");
  const size_t index = inputs_.size();
  Input& input =
      inputs_.emplace_back(Input{SmallFields(message_, kMaxHeaderBytes), {}});
  return ForEachField(
      message_, range, [&](const MessageField& field) -> absl::Status {
        if (field.has_payload && field.number == Header::kContentsFieldNumber) {
          // Merged, as protobuf does; each entry costs memory of ours.
          if (input.contents.size() == kMaxInputs) {
            return TooManyEntries(IndexPath(index) + ".contents");
          }
          input.contents.push_back(field.payload);
          return absl::OkStatus();
        }
        if (field.number >= Header::kContentsFieldNumber ||
            input.header.Add(field)) {
          return absl::OkStatus();
        }
        return InvalidTensor(IndexPath(index),
                             absl::StrCat("must have at most ", kMaxHeaderBytes,
                                          " bytes besides tensor data"),
                             "more");
      });
}

absl::Status InferInputs::AddRaw(ByteRange range) {
  if (raw_.size() == kMaxInputs) return TooManyEntries("raw_input_contents");
  raw_.push_back(range);
  return absl::OkStatus();
}

absl::Status InferInputs::CheckPairs() const {
  if (raw_.empty()) return absl::OkStatus();
  if (raw_.size() != inputs_.size()) {
    return InvalidOption("raw_input_contents",
                         "must have as many entries as inputs",
                         absl::StrCat(raw_.size(), " vs ", inputs_.size()));
  }
  for (size_t i = 0; i < inputs_.size(); ++i) {
    if (!inputs_[i].contents.empty()) {
      return InvalidOption(IndexPath(i) + ".contents",
                           "must be absent beside raw_input_contents",
                           "contents");
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<ByteRange> InferInputs::Place(size_t index, const Header& header,
                                             DataType dtype,
                                             DecodedInfer& decoded) const {
  if (!raw_.empty()) return raw_[index];
  ATTN_ASSIGN_OR_RETURN(
      RawPlace place,
      PlaceContents(message_, inputs_[index].contents, header.name(), dtype));
  if (!place.is_joined) return place.range;
  const std::string& joined =
      decoded.joined.emplace_back(std::move(place.joined));
  const ByteRange range{decoded.bytes.size(),
                        static_cast<int64_t>(joined.size())};
  decoded.bytes.Append(joined.data(), joined.size());
  return range;
}

absl::Status InferInputs::FinishInput(size_t index,
                                      DecodedInfer& decoded) const {
  Header header;
  if (!header.ParseFromString(inputs_[index].header.text())) {
    return Undecodable();
  }
  const std::string name_path = IndexPath(index) + ".name";
  ATTN_ASSIGN_OR_RETURN(const Slot slot,
                        FindSlot(name_path, header.name(), decoded));
  ATTN_RETURN_IF_ERROR(CheckParameters(header));
  TensorSpec tensor;
  tensor.is_present = true;
  tensor.dtype = FromDatatype(header.datatype());
  if (tensor.dtype == DataType::kUnspecified) {
    return InvalidTensor(Path(header.name(), "datatype"),
                         "must be FP32, FP16, BF16, FP64, BOOL, INT32 or INT64",
                         ShownText(header.datatype()));
  }
  tensor.dims.assign(header.shape().begin(), header.shape().end());
  ATTN_ASSIGN_OR_RETURN(const ByteRange place,
                        Place(index, header, tensor.dtype, decoded));
  tensor.data_bytes = place.size;
  if (slot.is_taken()) {
    return InvalidOption(name_path, "must not come twice", header.name());
  }
  if (slot.numbers != nullptr) {
    return ReadKvLengths(decoded.bytes, place, tensor, *slot.numbers);
  }
  *slot.spec = std::move(tensor);
  *slot.place = place;
  return absl::OkStatus();
}

absl::Status InferInputs::Finish(DecodedInfer& decoded) const {
  ATTN_RETURN_IF_ERROR(CheckPairs());
  for (size_t i = 0; i < inputs_.size(); ++i) {
    ATTN_RETURN_IF_ERROR(FinishInput(i, decoded));
  }
  return absl::OkStatus();
}

}  // namespace attn
