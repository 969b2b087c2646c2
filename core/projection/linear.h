// A linear projection, out = in W + b, with W packed once when it is loaded.
//
// The bits of a row of `out` are a function of that row of `in` alone: not of
// how many rows are multiplied with it, nor of where they lie. So tokens of any
// requests share one product (core/engine/projection_task.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/memory/scratch_arena.h"
#include "core/tensor/dtype.h"

namespace attn {

// In which form weights are kept. The numbers equal those of the wire enum.
enum class WeightFormat : int32_t {
  kUnspecified = 0,  // As the checkpoint has them.
  kF32 = 1,
  kF16 = 2,
  kBF16 = 3,
  kInt8 = 4,  // Codes, with one F32 scale per output channel.
};

// Weights as a checkpoint has them. Borrows.
struct LinearSource {
  DataType dtype = DataType::kF32;     // F32, F16, BF16 or F64.
  const std::byte* weights = nullptr;  // Aligned to nothing.
  int64_t in_dim = 0;
  int64_t out_dim = 0;
  // Elements from an output channel to the next, and from an input to the next:
  // {in_dim, 1} as torch's Linear has it, {1, n} as GPT-2's Conv1D.
  int64_t out_stride = 0;
  int64_t in_stride = 1;
  const std::byte* bias = nullptr;  // [out_dim] of bias_dtype, or null.
  DataType bias_dtype = DataType::kF32;
};

// Rows of f32 with a stride in elements. Borrow.
struct InRows {
  const float* data = nullptr;
  int64_t stride = 0;
};
struct OutRows {
  float* data = nullptr;
  int64_t stride = 0;
};

// Thread-safe: constant once made.
class Linear {
 public:
  // RESOURCE_EXHAUSTED without memory; INVALID_ARGUMENT for weights that are
  // not finite as int8, or too large for f16; INTERNAL when the library fails.
  // F64 is rounded to f32 first. REQUIRES: in_dim, out_dim >= 1; a stride of 1;
  // a format other than kUnspecified. Call MakeTileGemm before the first: it
  // caps the library's ISA.
  static absl::StatusOr<std::unique_ptr<Linear>> Pack(
      const LinearSource& source, WeightFormat format);
  // What Pack will take, for budgets.
  static int64_t PackedBytes(int64_t in_dim, int64_t out_dim,
                             WeightFormat format);

  virtual ~Linear() = default;

  virtual int64_t in_dim() const = 0;
  virtual int64_t out_dim() const = 0;
  virtual int64_t bytes() const = 0;

  // Output channels are computed block by block: block b is channels
  // [b * block_channels(), min(out_dim, (b + 1) * block_channels())).
  virtual int64_t block_channels() const = 0;
  int64_t num_blocks() const {
    return (out_dim() + block_channels() - 1) / block_channels();
  }

  // out[r][c] for r in [0, num_rows) and the channels of the block, of which
  // the first has c = 0. REQUIRES: num_rows >= 1. The arena is reset.
  virtual absl::Status MultiplyBlock(int64_t block, int64_t num_rows, InRows in,
                                     OutRows out,
                                     ScratchArena& arena) const = 0;
};

}  // namespace attn
