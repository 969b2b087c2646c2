// New keys and values on their way into a session's pages: read from wherever
// they lie, converted, turned by their positions and written, a run of tokens
// of one page at a time. No copy of the tensors in between.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#include "core/attention/params.h"
#include "core/attention/rotation.h"
#include "core/kv_cache/kv_layer.h"
#include "core/tensor/dtype.h"

namespace attn {

// Copies `bytes` from `offset` of a tensor's bytes to `to`.
using ReadBytes =
    std::function<void(int64_t offset, int64_t bytes, std::byte* to)>;

// One of the two tensors, [1, num_kv_heads, num_tokens, dim] in its layout.
struct KvTensor {
  DataType dtype = DataType::kF32;
  ReadBytes read;
};

// Keys and values of an append.
struct KvTensors {
  Layout layout = Layout::kBHSD;
  KvTensor key;
  KvTensor value;
};

// Writes all tokens of `append`, whose sizes the tensors have. `turns`: of the
// keys, or null.
void WriteTokens(const KvTensors& tensors, const KvFormat& format,
                 KeyTurns* turns, KvAppend& append);

}  // namespace attn
