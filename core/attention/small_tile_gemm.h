// Products of a few rows: what the matrix library is slow at (126 GFLOP/s at
// four rows where this makes 250, tests/bench/README.md), and which read B
// once, so that it had better come as it is stored and be fetched ahead. Four
// rows share each load of B. SIMD code for AVX2 and AVX-512, chosen at run
// time.
#pragma once

#include <string>

#include "core/attention/tile_gemm.h"

namespace attn {

// Thread-safe: it has no state.
class SmallTileGemm final : public TileGemm {
 public:
  // Never fails. Element (r, c) depends on row r of A, column c of B and the
  // shape's n and k alone, and sums in the order of k.
  absl::Status Multiply(const GemmShape& shape, const float* a, const float* b,
                        float* c, bool accumulate) const override;

  bool TakesStored() const override { return true; }
  absl::Status MultiplyStored(const GemmShape& shape, const float* a,
                              const StoredMatrix& b, float* c,
                              bool accumulate) const override;

  std::string Description() const override { return "own SIMD"; }
  std::string ChosenIsa() const override;
};

}  // namespace attn
