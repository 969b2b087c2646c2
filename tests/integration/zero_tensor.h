// Tensors of zeros, for requests that only their shapes matter to.
#pragma once

#include <cstdint>
#include <initializer_list>

#include "attn/v1/types.pb.h"

namespace attn::test {

// Gives the tensor this form.
void FillWithZeros(v1::Tensor& tensor, std::initializer_list<int64_t> shape,
                   v1::DataType dtype = v1::DATA_TYPE_F32);

}  // namespace attn::test
