// The Open Inference Protocol's names of element types ("FP32"), to and from
// ours.
#pragma once

#include <string_view>

#include "core/tensor/dtype.h"

namespace attn {

// kUnspecified for a name that is none, or none of ours.
DataType FromDatatype(std::string_view datatype);

// "" for kUnspecified.
std::string_view ToDatatype(DataType dtype);

}  // namespace attn
