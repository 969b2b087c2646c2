#include "core/kv_cache/page_blocks.h"

#include <algorithm>
#include <cstring>

#include "core/tensor/conversions.h"

namespace attn {
namespace {

// Dimensions that are converted or transposed at a time.
constexpr int64_t kRowChunk = 256;
constexpr int64_t kTileDims = 16;
// From here on a row of the transposed block is worth a conversion of its own.
constexpr int64_t kTileTokens = 16;

// Elements of T from a contiguous row to a column of the key block.
template <typename T>
void Scatter(const std::byte* from, int64_t n, std::byte* to) {
  for (int64_t i = 0; i < n; ++i) {
    std::memcpy(to + i * kPageTokens * sizeof(T), from + i * sizeof(T),
                sizeof(T));
  }
}

// A decode step: converts along the row, then scatters.
void WriteKeyColumn(const float* key, int64_t place,
                    const PageBlocks<std::byte>& to) {
  const int64_t width = ElementBytes(to.dtype);
  std::byte row[kRowChunk * sizeof(float)];
  for (int64_t d = 0; d < to.head_dim; d += kRowChunk) {
    const int64_t n = std::min(kRowChunk, to.head_dim - d);
    ConvertFromF32(key + d, n, to.dtype, row);
    std::byte* column = to.keys + (d * kPageTokens + place) * width;
    if (width == sizeof(float)) {
      Scatter<float>(row, n, column);
    } else {
      Scatter<uint16_t>(row, n, column);
    }
  }
}

// A long run: transposes a cache line of each token at a time, then converts
// along the tokens.
void WriteKeyTile(const TokenRun& run, int64_t first_dim,
                  const PageBlocks<std::byte>& to) {
  const int64_t width = ElementBytes(to.dtype);
  const int64_t num_dims = std::min(kTileDims, to.head_dim - first_dim);
  float tile[kTileDims][kPageTokens];
  for (int64_t t = 0; t < run.n; ++t) {
    const float* key = run.keys + t * to.head_dim + first_dim;
    for (int64_t d = 0; d < num_dims; ++d) tile[d][t] = key[d];
  }
  for (int64_t d = 0; d < num_dims; ++d) {
    std::byte* row =
        to.keys + ((first_dim + d) * kPageTokens + run.place) * width;
    ConvertFromF32(tile[d], run.n, to.dtype, row);
  }
}

}  // namespace

void WriteTokens(const TokenRun& run, const PageBlocks<std::byte>& to) {
  if (run.n < kTileTokens) {
    for (int64_t t = 0; t < run.n; ++t) {
      WriteKeyColumn(run.keys + t * to.head_dim, run.place + t, to);
    }
  } else {
    for (int64_t d = 0; d < to.head_dim; d += kTileDims) {
      WriteKeyTile(run, d, to);
    }
  }
  std::byte* values =
      to.values + run.place * to.value_head_dim * ElementBytes(to.dtype);
  ConvertFromF32(run.values, run.n * to.value_head_dim, to.dtype, values);
}

void CopyTokens(const PageBlocks<const std::byte>& from, int64_t n,
                const PageBlocks<std::byte>& to) {
  const int64_t width = ElementBytes(to.dtype);
  for (int64_t d = 0; d < to.head_dim; ++d) {
    const int64_t offset = d * kPageTokens * width;
    std::memcpy(to.keys + offset, from.keys + offset,
                static_cast<size_t>(n * width));
  }
  std::memcpy(to.values, from.values,
              static_cast<size_t>(n * to.value_head_dim * width));
}

void ClearTokens(const PageBlocks<std::byte>& blocks, int64_t place) {
  const int64_t width = ElementBytes(blocks.dtype);
  const int64_t n = kPageTokens - place;
  for (int64_t d = 0; d < blocks.head_dim; ++d) {
    std::memset(blocks.keys + (d * kPageTokens + place) * width, 0,
                static_cast<size_t>(n * width));
  }
  std::memset(blocks.values + place * blocks.value_head_dim * width, 0,
              static_cast<size_t>(n * blocks.value_head_dim * width));
}

}  // namespace attn
