#include "core/tensor/dtype.h"

namespace attn {

std::string_view DataTypeName(DataType dtype) {
  switch (dtype) {
    case DataType::kUnspecified:
      return "unspecified";
    case DataType::kF32:
      return "F32";
    case DataType::kF16:
      return "F16";
    case DataType::kBF16:
      return "BF16";
    case DataType::kF64:
      return "F64";
    case DataType::kBool:
      return "BOOL";
    case DataType::kI32:
      return "I32";
    case DataType::kI64:
      return "I64";
  }
  return "unknown";
}

}  // namespace attn
