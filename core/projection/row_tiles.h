// What all ways to multiply do alike: rows are cut into tiles, and a tile's
// sums are finished and written.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/base/checked_math.h"
#include "core/projection/linear.h"
#include "core/projection/packed_sizes.h"

namespace attn {

// Calls multiply(first_row, rows) for tiles of up to kTileRows, about the same
// size each: a last tile of one row would cost as much as five of a larger one.
// Stops at the first error.
template <typename Multiply>
absl::Status ForRowTiles(int64_t num_rows, const Multiply& multiply) {
  const int64_t rows = DivideUp(num_rows, DivideUp(num_rows, kTileRows));
  for (int64_t row = 0; row < num_rows; row += rows) {
    absl::Status status = multiply(row, std::min(rows, num_rows - row));
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

// Sums [rows, stride] of `channels` channels.
struct SumTile {
  const float* sums = nullptr;
  int64_t stride = 0;
  int64_t rows = 0;
  int64_t channels = 0;
};

// out[r][c] = sums[r][c] * scales[c] + bias[c]; without scales if null. `out`
// points at the first row and channel of the tile.
inline void FinishTile(const SumTile& tile, const float* scales,
                       const float* bias, OutRows out) {
  for (int64_t r = 0; r < tile.rows; ++r) {
    const float* sums = tile.sums + r * tile.stride;
    float* to = out.data + r * out.stride;
    if (scales == nullptr) {
      for (int64_t c = 0; c < tile.channels; ++c) to[c] = sums[c] + bias[c];
    } else {
      for (int64_t c = 0; c < tile.channels; ++c) {
        to[c] = sums[c] * scales[c] + bias[c];
      }
    }
  }
}

}  // namespace attn
