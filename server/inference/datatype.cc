#include "server/inference/datatype.h"

#include <array>
#include <utility>

namespace attn {
namespace {

constexpr std::array<std::pair<std::string_view, DataType>, 7> kDatatypes{{
    {"FP32", DataType::kF32},
    {"FP16", DataType::kF16},
    {"BF16", DataType::kBF16},
    {"FP64", DataType::kF64},
    {"BOOL", DataType::kBool},
    {"INT32", DataType::kI32},
    {"INT64", DataType::kI64},
}};

}  // namespace

DataType FromDatatype(std::string_view datatype) {
  for (const auto& [name, dtype] : kDatatypes) {
    if (name == datatype) return dtype;
  }
  return DataType::kUnspecified;
}

std::string_view ToDatatype(DataType dtype) {
  for (const auto& [name, known] : kDatatypes) {
    if (known == dtype) return name;
  }
  return "";
}

}  // namespace attn
