// Element types of tensors. The numbers equal those of attn.v1.DataType.
#pragma once

#include <cstdint>
#include <string_view>

namespace attn {

enum class DataType : int32_t {
  kUnspecified = 0,
  kF32 = 1,
  kF16 = 2,
  kBF16 = 3,
  kF64 = 4,
  kBool = 5,
  kI32 = 6,
  kI64 = 7,
};

// Bytes of one element; 0 for kUnspecified and unknown numbers.
constexpr int64_t ElementBytes(DataType dtype) {
  switch (dtype) {
    case DataType::kBool:
      return 1;
    case DataType::kF16:
    case DataType::kBF16:
      return 2;
    case DataType::kF32:
    case DataType::kI32:
      return 4;
    case DataType::kF64:
    case DataType::kI64:
      return 8;
    case DataType::kUnspecified:
      return 0;
  }
  return 0;
}

// "F32" and so on; "unspecified", or "unknown" for numbers outside the enum.
std::string_view DataTypeName(DataType dtype);

}  // namespace attn
