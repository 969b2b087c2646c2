// A part of a tensor along one axis: the tokens of one server of a split
// context. Internal to the client. Pure functions: thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>

#include "client/cpp/tensor.h"

namespace attn::client {

// Elements [begin, end) of `axis`, copied; all of them: the tensor itself.
// REQUIRES: tensor.Check() is OK; 0 <= begin <= end <= its length of `axis`.
Tensor Slice(const Tensor& tensor, size_t axis, int64_t begin, int64_t end);

}  // namespace attn::client
