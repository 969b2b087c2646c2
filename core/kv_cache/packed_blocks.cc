#include "core/kv_cache/packed_blocks.h"

#include <algorithm>

#include "core/base/check.h"
#include "core/tensor/int8_rows.h"

namespace attn {
namespace {

// Dimensions that are transposed at a time: a cache line of each token.
constexpr int64_t kTileDims = 16;

void PackKeyTile(const float* keys, int64_t first_dim, const PackedBlocks& to) {
  const int64_t num_dims = std::min(kTileDims, to.head_dim - first_dim);
  float tile[kTileDims][kPageTokens];
  for (int64_t t = 0; t < kPageTokens; ++t) {
    const float* key = keys + t * to.head_dim + first_dim;
    for (int64_t d = 0; d < num_dims; ++d) tile[d][t] = key[d];
  }
  for (int64_t d = 0; d < num_dims; ++d) {
    const int64_t row = first_dim + d;
    to.key_scales[row] =
        PackRow(tile[d], kPageTokens, to.keys + row * kPageTokens);
  }
}

void PackRows(const float* from, int64_t num_rows, int64_t length,
              int8_t* codes, float* scales) {
  for (int64_t row = 0; row < num_rows; ++row) {
    scales[row] = PackRow(from + row * length, length, codes + row * length);
  }
}

}  // namespace

PackedBlocks PackedBlocksOf(const KvFormat& format, std::byte* page,
                            int64_t head) {
  const PackedOffsets at = format.PackedOffsetsOf(head);
  return {.head_dim = format.head_dim,
          .value_head_dim = format.value_head_dim,
          .keys = reinterpret_cast<int8_t*>(page + at.keys),
          .key_scales = reinterpret_cast<float*>(page + at.key_scales),
          .values = reinterpret_cast<int8_t*>(page + at.values),
          .value_scales = reinterpret_cast<float*>(page + at.value_scales)};
}

void PackTokens(const TokenRun& run, const PackedBlocks& to) {
  ATTN_CHECK(run.place == 0 && run.n == kPageTokens);
  for (int64_t d = 0; d < to.head_dim; d += kTileDims) {
    PackKeyTile(run.keys, d, to);
  }
  PackRows(run.values, kPageTokens, to.value_head_dim, to.values,
           to.value_scales);
}

void PackPage(const PageBlocks<const std::byte>& from, const PackedBlocks& to) {
  ATTN_CHECK(from.dtype == DataType::kF32);
  PackRows(reinterpret_cast<const float*>(from.keys), to.head_dim, kPageTokens,
           to.keys, to.key_scales);
  PackRows(reinterpret_cast<const float*>(from.values), kPageTokens,
           to.value_head_dim, to.values, to.value_scales);
}

void UnpackTokens(const PackedBlocks& from, int64_t n,
                  const PageBlocks<std::byte>& to) {
  ATTN_CHECK(to.dtype == DataType::kF32);
  WidenRows({from.keys, from.key_scales, kPageTokens},
            {.num_rows = from.head_dim, .first = 0, .n = n},
            reinterpret_cast<float*>(to.keys), kPageTokens);
  WidenRows({from.values, from.value_scales, from.value_head_dim},
            {.num_rows = n, .first = 0, .n = from.value_head_dim},
            reinterpret_cast<float*>(to.values), from.value_head_dim);
}

void CopyFirstTokens(const KvFormat& format, std::byte* from, PageForm form,
                     int64_t n, std::byte* to) {
  for (int64_t head = 0; head < format.num_kv_heads; ++head) {
    const auto blocks = BlocksOf(format, to, head);
    if (form == PageForm::kPacked) {
      UnpackTokens(PackedBlocksOf(format, from, head), n, blocks);
    } else {
      CopyTokens(BlocksOf<const std::byte>(format, from, head), n, blocks);
    }
  }
}

}  // namespace attn
