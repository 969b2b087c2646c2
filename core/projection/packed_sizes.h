// How a packed Linear lies in memory, whoever multiplies it. Weights are blocks
// of output channels, what a work item computes; a block is panels of 64
// channels, [in_dim, 64], so that a product reads a panel from one end to the
// other. Dimensions are rounded up as oneDNN's own layout has it, so that its
// weights have room, too. Beside them lie floats: a bias for each channel and,
// for int8, scales for each channel and a one for each input.
#pragma once

#include <cstdint>

#include "core/base/checked_math.h"
#include "core/memory/aligned_buffer.h"
#include "core/projection/linear.h"

namespace attn {

inline constexpr int64_t kPanelChannels = 64;
// Rows of a product. 64 rows reach what more rows do, once the block's weights
// are in L2 (README.md).
inline constexpr int64_t kTileRows = 64;

// Channels of a block: up to 256, and blocks of about the same size. 256 by
// 1024 inputs are 1 MiB of f32, an L2; 64 rows of them take 130 us, one takes
// 11 to 25 us. Blocks of 64 channels lose a third of the speed at one row,
// those of 512 win a tenth of it and nothing at 64 rows (README.md).
inline int64_t BlockChannels(int64_t out_dim) {
  constexpr int64_t kMost = 256;
  const int64_t num_blocks = DivideUp(out_dim, kMost);
  return RoundUp(DivideUp(out_dim, num_blocks), kPanelChannels);
}

constexpr int64_t WeightBytes(WeightFormat format) {
  switch (format) {
    case WeightFormat::kUnspecified:
      return 0;
    case WeightFormat::kF32:
      return 4;
    case WeightFormat::kF16:
    case WeightFormat::kBF16:
      return 2;
    case WeightFormat::kInt8:
      return 1;
  }
  return 0;
}

// Of the weights alone. REQUIRES: in_dim * out_dim * 2^16 fits.
inline int64_t WeightBufferBytes(int64_t in_dim, int64_t out_dim,
                                 WeightFormat format) {
  constexpr int64_t kInputs = 16;
  const int64_t bytes = RoundUp(in_dim, kInputs) *
                        RoundUp(out_dim, kPanelChannels) * WeightBytes(format);
  // As AlignedBuffer takes it.
  return bytes >= kHugePageBytes ? RoundUp(bytes, kHugePageBytes) : bytes;
}

}  // namespace attn
