#include "client/cpp/attnctl/npy.h"

#include <algorithm>
#include <fstream>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/cpp/attnctl/npy_dict.h"

namespace attn::attnctl {
namespace {

using client::DType;
using client::Tensor;

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr size_t kLengthAt = 8;  // After the magic and two version bytes.
constexpr size_t kAlignment = 64;

absl::Status Malformed(const std::string& rule) {
  return absl::InvalidArgumentError("not a usable .npy file: " + rule);
}

absl::StatusOr<DType> ParseDescr(const std::string& descr) {
  static constexpr std::pair<std::string_view, DType> kTypes[] = {
      {"<f4", DType::kF32},  {"<f2", DType::kF16},  {"<f8", DType::kF64},
      {"|b1", DType::kBool}, {"<i4", DType::kI32},  {"<i8", DType::kI64},
      {"<V2", DType::kBf16}, {"|V2", DType::kBf16}, {"bfloat16", DType::kBf16}};
  for (const auto& [name, dtype] : kTypes) {
    if (descr == name) {
      return dtype;
    }
  }
  if (!descr.empty() && descr.front() == '>') {
    return Malformed("data must be little-endian; got '" + descr + "'");
  }
  return Malformed(
      "descr must be '<f4', '<f2', '<f8', '|b1', '<i4', '<i8' or '<V2' "
      "(bfloat16); got '" +
      descr + "'");
}

std::string_view Descr(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return "<f4";
    case DType::kF16:
      return "<f2";
    case DType::kF64:
      return "<f8";
    case DType::kBool:
      return "|b1";
    case DType::kI32:
      return "<i4";
    case DType::kI64:
      return "<i8";
    case DType::kBf16:
      return "<V2";
    case DType::kUnspecified:
      break;
  }
  return "";
}

// An unsigned little-endian number of `size` bytes.
uint64_t LittleEndian(std::string_view bytes, size_t at, size_t size) {
  uint64_t value = 0;
  for (size_t i = 0; i < size; ++i) {
    value |= static_cast<uint64_t>(static_cast<unsigned char>(bytes[at + i]))
             << (8 * i);
  }
  return value;
}

// The dictionary's text and where the data begin.
struct Prelude {
  std::string_view text;
  uint64_t data_offset = 0;
};

absl::StatusOr<Prelude> ParsePrelude(std::string_view prefix) {
  if (prefix.size() < kLengthAt + 2 ||
      prefix.substr(0, kMagic.size()) != kMagic) {
    return Malformed("it does not begin with \\x93NUMPY");
  }
  const int major = static_cast<unsigned char>(prefix[kMagic.size()]);
  const int minor = static_cast<unsigned char>(prefix[kMagic.size() + 1]);
  if (major < 1 || major > 3 || minor != 0) {
    return Malformed(absl::StrCat("version must be 1.0, 2.0 or 3.0; got ",
                                  major, ".", minor));
  }
  const size_t length_bytes = major == 1 ? 2 : 4;
  const size_t text_at = kLengthAt + length_bytes;
  if (prefix.size() < text_at) {
    return Malformed("it ends within the header");
  }
  const uint64_t length = LittleEndian(prefix, kLengthAt, length_bytes);
  if (length > kMaxNpyHeaderBytes) {
    return Malformed(absl::StrCat("header must be at most ", kMaxNpyHeaderBytes,
                                  " bytes; got ", length));
  }
  if (prefix.size() - text_at < length) {
    return Malformed("it ends within the header");
  }
  return Prelude{prefix.substr(text_at, length), text_at + length};
}

absl::Status CheckSize(const NpyHeader& header, uint64_t file_bytes) {
  const uint64_t found = file_bytes - header.data_offset;
  if (found != header.data_bytes) {
    return Malformed(absl::StrCat(client::ShapeText(header.shape), " ",
                                  std::string(client::DTypeName(header.dtype)),
                                  " needs ", header.data_bytes,
                                  " bytes of data; got ", found));
  }
  return absl::OkStatus();
}

absl::Status WithPath(const std::string& path, const absl::Status& status) {
  return absl::Status(status.code(),
                      absl::StrCat(path, ": ", status.message()));
}

std::string ReadPrefix(std::ifstream& file, uint64_t file_bytes) {
  std::string prefix(
      std::min<uint64_t>(file_bytes, kMaxNpyHeaderBytes + kLengthAt + 4), '\0');
  file.seekg(0);
  file.read(prefix.data(), static_cast<std::streamsize>(prefix.size()));
  return prefix;
}

absl::StatusOr<Tensor> ReadData(std::ifstream& file, NpyHeader header) {
  std::string data(header.data_bytes, '\0');
  file.seekg(static_cast<std::streamoff>(header.data_offset));
  file.read(data.data(), static_cast<std::streamsize>(data.size()));
  if (!file) {
    return Malformed("it cannot be read to its end");
  }
  return Tensor::Own(header.dtype, std::move(header.shape), std::move(data));
}

}  // namespace

absl::StatusOr<NpyHeader> ParseNpyHeader(std::string_view prefix) {
  absl::StatusOr<Prelude> prelude = ParsePrelude(prefix);
  if (!prelude.ok()) {
    return prelude.status();
  }
  absl::StatusOr<NpyDict> dict = ParseNpyDict(prelude->text);
  if (!dict.ok()) {
    return Malformed(std::string(dict.status().message()));
  }
  if (dict->fortran_order) {
    return Malformed(
        "fortran_order must be False; save the array with order='C'");
  }
  absl::StatusOr<DType> dtype = ParseDescr(dict->descr);
  if (!dtype.ok()) {
    return dtype.status();
  }
  absl::StatusOr<int64_t> elements = client::NumElements(dict->shape);
  uint64_t data_bytes = 0;
  if (!elements.ok() ||
      __builtin_mul_overflow(static_cast<uint64_t>(*elements),
                             client::ElementBytes(*dtype), &data_bytes)) {
    return Malformed("shape is too large: " + client::ShapeText(dict->shape));
  }
  return NpyHeader{*dtype, std::move(dict->shape), prelude->data_offset,
                   data_bytes};
}

absl::StatusOr<Tensor> ParseNpy(std::string_view file) {
  absl::StatusOr<NpyHeader> header = ParseNpyHeader(file);
  if (!header.ok()) {
    return header.status();
  }
  if (absl::Status size = CheckSize(*header, file.size()); !size.ok()) {
    return size;
  }
  return Tensor::Own(header->dtype, std::move(header->shape),
                     std::string(file.substr(header->data_offset)));
}

absl::StatusOr<std::string> SerializeNpy(const Tensor& tensor) {
  if (absl::Status status = tensor.Check(); !status.ok()) {
    return status;
  }
  std::string dict =
      absl::StrCat("{'descr': '", std::string(Descr(tensor.dtype())),
                   "', 'fortran_order': False, 'shape': (",
                   absl::StrJoin(tensor.shape(), ", "),
                   tensor.shape().size() == 1 ? ",), }" : "), }");
  const bool is_long = dict.size() + kAlignment > 0xffff;
  const size_t length_bytes = is_long ? 4 : 2;
  const size_t unpadded = kLengthAt + length_bytes + dict.size() + 1;
  dict.append((kAlignment - unpadded % kAlignment) % kAlignment, ' ');
  dict.push_back('\n');
  std::string file(kMagic);
  file.push_back(is_long ? '\x02' : '\x01');
  file.push_back('\0');
  for (size_t i = 0; i < length_bytes; ++i) {
    file.push_back(static_cast<char>((dict.size() >> (8 * i)) & 0xff));
  }
  file.append(dict);
  file.append(tensor.bytes());
  return file;
}

absl::StatusOr<Tensor> ReadNpy(const std::string& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  const std::streamoff end = file ? std::streamoff{file.tellg()} : -1;
  if (end < 0) {
    return absl::NotFoundError(path + ": cannot be read");
  }
  const auto file_bytes = static_cast<uint64_t>(end);
  absl::StatusOr<NpyHeader> header =
      ParseNpyHeader(ReadPrefix(file, file_bytes));
  if (!header.ok()) {
    return WithPath(path, header.status());
  }
  if (absl::Status size = CheckSize(*header, file_bytes); !size.ok()) {
    return WithPath(path, size);
  }
  absl::StatusOr<Tensor> tensor = ReadData(file, *std::move(header));
  return tensor.ok() ? std::move(tensor) : WithPath(path, tensor.status());
}

absl::Status WriteNpy(const std::string& path, const Tensor& tensor) {
  absl::StatusOr<std::string> bytes = SerializeNpy(tensor);
  if (!bytes.ok()) {
    return WithPath(path, bytes.status());
  }
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(bytes->data(), static_cast<std::streamsize>(bytes->size()));
  file.close();
  if (!file) {
    return absl::NotFoundError(path + ": cannot be written");
  }
  return absl::OkStatus();
}

}  // namespace attn::attnctl
