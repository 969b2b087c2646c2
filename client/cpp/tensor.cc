#include "client/cpp/tensor.h"

#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/cpp/float_conversion.h"

namespace attn::client {
namespace {

// Reads element `i` of `bytes`, which need not be aligned.
template <typename T>
T Load(std::string_view bytes, size_t i) {
  T value;
  std::memcpy(&value, bytes.data() + i * sizeof(T), sizeof(T));
  return value;
}

template <typename T>
void Store(std::string& bytes, size_t i, T value) {
  std::memcpy(bytes.data() + i * sizeof(T), &value, sizeof(T));
}

template <typename Number>
Number LoadNumber(DType dtype, std::string_view bytes, size_t i) {
  switch (dtype) {
    case DType::kF32:
      return static_cast<Number>(Load<float>(bytes, i));
    case DType::kF16:
      return static_cast<Number>(FloatFromF16(Load<uint16_t>(bytes, i)));
    case DType::kBf16:
      return static_cast<Number>(FloatFromBf16(Load<uint16_t>(bytes, i)));
    case DType::kF64:
      return static_cast<Number>(Load<double>(bytes, i));
    case DType::kBool:
      return static_cast<Number>(bytes[i] != 0 ? 1 : 0);
    case DType::kI32:
      return static_cast<Number>(Load<int32_t>(bytes, i));
    case DType::kI64:
      return static_cast<Number>(Load<int64_t>(bytes, i));
    case DType::kUnspecified:
      break;
  }
  return Number{0};
}

// REQUIRES: IsFloat(dtype). A float is widened exactly, so each is rounded
// once.
void StoreNumber(DType dtype, std::string& bytes, size_t i, double value) {
  if (dtype == DType::kF16) {
    Store(bytes, i, F16FromDouble(value));
  } else if (dtype == DType::kBf16) {
    Store(bytes, i, Bf16FromDouble(value));
  } else if (dtype == DType::kF64) {
    Store(bytes, i, value);
  } else {
    Store(bytes, i, static_cast<float>(value));
  }
}

bool IsFloat(DType dtype) {
  return dtype >= DType::kF32 && dtype <= DType::kF64;
}

absl::Status CheckCount(const Shape& shape, size_t found) {
  absl::StatusOr<int64_t> expected = NumElements(shape);
  if (!expected.ok()) {
    return expected.status();
  }
  if (static_cast<uint64_t>(*expected) != found) {
    return absl::InvalidArgumentError(absl::StrCat("shape ", ShapeText(shape),
                                                   " holds ", *expected,
                                                   " elements; got ", found));
  }
  return absl::OkStatus();
}

template <typename Number>
absl::StatusOr<std::string> ToBytes(absl::Span<const Number> values,
                                    const Shape& shape, DType dtype) {
  if (!IsFloat(dtype)) {
    return absl::InvalidArgumentError(
        absl::StrCat("dtype must be f32, f16, bf16 or f64; got ",
                     std::string(DTypeName(dtype))));
  }
  if (absl::Status status = CheckCount(shape, values.size()); !status.ok()) {
    return status;
  }
  std::string bytes(values.size() * ElementBytes(dtype), '\0');
  for (size_t i = 0; i < values.size(); ++i) {
    StoreNumber(dtype, bytes, i, values[i]);
  }
  return bytes;
}

template <typename Number>
absl::StatusOr<std::vector<Number>> ToNumbers(const Tensor& tensor) {
  if (absl::Status status = tensor.Check(); !status.ok()) {
    return status;
  }
  std::vector<Number> values(tensor.bytes().size() /
                             ElementBytes(tensor.dtype()));
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = LoadNumber<Number>(tensor.dtype(), tensor.bytes(), i);
  }
  return values;
}

}  // namespace

size_t ElementBytes(DType dtype) {
  switch (dtype) {
    case DType::kBool:
      return 1;
    case DType::kF16:
    case DType::kBf16:
      return 2;
    case DType::kF32:
    case DType::kI32:
      return 4;
    case DType::kF64:
    case DType::kI64:
      return 8;
    case DType::kUnspecified:
      break;
  }
  return 0;
}

std::string_view DTypeName(DType dtype) {
  constexpr std::string_view kNames[] = {"unspecified", "f32",  "f16", "bf16",
                                         "f64",         "bool", "i32", "i64"};
  const auto number = static_cast<size_t>(dtype);
  return number < std::size(kNames) ? kNames[number] : kNames[0];
}

std::string ShapeText(const Shape& shape) {
  return absl::StrCat("[", absl::StrJoin(shape, ", "), "]");
}

absl::StatusOr<int64_t> NumElements(const Shape& shape) {
  int64_t product = 1;
  bool overflow = false;
  bool empty = false;
  for (const int64_t length : shape) {
    if (length < 0) {
      return absl::InvalidArgumentError(absl::StrCat(
          "shape must not have negative lengths; got ", ShapeText(shape)));
    }
    empty = empty || length == 0;
    overflow = __builtin_mul_overflow(product, length, &product) || overflow;
  }
  if (overflow && !empty) {
    return absl::InvalidArgumentError(absl::StrCat(
        "shape must hold at most 2^63 - 1 elements; got ", ShapeText(shape)));
  }
  return empty ? 0 : product;
}

Tensor Tensor::Own(DType dtype, Shape shape, std::string bytes) {
  auto owner = std::make_shared<const std::string>(std::move(bytes));
  const std::string_view view = *owner;
  return Share(dtype, std::move(shape), std::move(owner), view);
}

Tensor Tensor::Share(DType dtype, Shape shape,
                     std::shared_ptr<const void> owner,
                     std::string_view bytes) {
  Tensor tensor = Borrow(dtype, std::move(shape), bytes);
  tensor.owner_ = std::move(owner);
  return tensor;
}

Tensor Tensor::Borrow(DType dtype, Shape shape, std::string_view bytes) {
  Tensor tensor;
  tensor.dtype_ = dtype;
  tensor.shape_ = std::move(shape);
  tensor.bytes_ = bytes;
  return tensor;
}

Tensor Tensor::InSharedMemory(DType dtype, Shape shape,
                              std::shared_ptr<const void> owner,
                              std::string_view bytes, SharedPlace place) {
  Tensor tensor = Share(dtype, std::move(shape), std::move(owner), bytes);
  tensor.shared_place_ = std::move(place);
  return tensor;
}

absl::StatusOr<Tensor> Tensor::FromFloats(absl::Span<const float> values,
                                          Shape shape, DType dtype) {
  absl::StatusOr<std::string> bytes = ToBytes(values, shape, dtype);
  if (!bytes.ok()) {
    return bytes.status();
  }
  return Own(dtype, std::move(shape), *std::move(bytes));
}

absl::StatusOr<Tensor> Tensor::FromDoubles(absl::Span<const double> values,
                                           Shape shape, DType dtype) {
  absl::StatusOr<std::string> bytes = ToBytes(values, shape, dtype);
  if (!bytes.ok()) {
    return bytes.status();
  }
  return Own(dtype, std::move(shape), *std::move(bytes));
}

absl::StatusOr<Tensor> Tensor::FromBools(const std::vector<bool>& values,
                                         Shape shape) {
  if (absl::Status status = CheckCount(shape, values.size()); !status.ok()) {
    return status;
  }
  return Own(DType::kBool, std::move(shape),
             std::string(values.begin(), values.end()));
}

absl::StatusOr<std::vector<float>> Tensor::ToFloats() const {
  return ToNumbers<float>(*this);
}

absl::StatusOr<std::vector<double>> Tensor::ToDoubles() const {
  return ToNumbers<double>(*this);
}

absl::StatusOr<std::vector<int64_t>> Tensor::ToInts() const {
  if (IsFloat(dtype_)) {
    return absl::InvalidArgumentError(
        absl::StrCat("dtype must be i32, i64 or bool; got ",
                     std::string(DTypeName(dtype_))));
  }
  return ToNumbers<int64_t>(*this);
}

absl::StatusOr<Tensor> Tensor::ConvertTo(DType dtype) const {
  absl::StatusOr<std::vector<double>> values = ToDoubles();
  if (!values.ok()) {
    return values.status();
  }
  return FromDoubles(*values, shape_, dtype);
}

absl::Status Tensor::Check() const {
  const size_t element_bytes = ElementBytes(dtype_);
  if (element_bytes == 0) {
    return absl::InvalidArgumentError("tensor has no dtype");
  }
  if (bytes_.size() % element_bytes != 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "data must be a multiple of ", element_bytes, " bytes for ",
        std::string(DTypeName(dtype_)), "; got ", bytes_.size()));
  }
  return CheckCount(shape_, bytes_.size() / element_bytes);
}

}  // namespace attn::client
