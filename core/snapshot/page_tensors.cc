#include "core/snapshot/page_tensors.h"

namespace attn {

std::vector<PageTensor> PageTensorsOf(const KvFormat& format) {
  const int64_t head_stride =
      format.key_block_bytes() + format.value_block_bytes();
  return {{.name = "key",
           .dtype = format.dtype,
           .rows = format.head_dim,
           .columns = kPageTokens,
           .first_offset = format.KeyOffset(0),
           .head_stride = head_stride},
          {.name = "value",
           .dtype = format.dtype,
           .rows = kPageTokens,
           .columns = format.value_head_dim,
           .first_offset = format.ValueOffset(0),
           .head_stride = head_stride}};
}

}  // namespace attn
