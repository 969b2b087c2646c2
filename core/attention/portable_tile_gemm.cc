#include <algorithm>

#include "core/attention/tile_gemm.h"

namespace attn {
namespace {

class PortableTileGemm final : public TileGemm {
 public:
  absl::Status Multiply(const GemmShape& shape, const float* a, const float* b,
                        float* c, bool accumulate) const override {
    for (int64_t i = 0; i < shape.m; ++i) {
      float* row = c + i * shape.ldc;
      if (!accumulate) std::fill(row, row + shape.n, 0.0f);
      for (int64_t l = 0; l < shape.k; ++l) {
        const float factor = a[i * shape.lda + l];
        const float* other = b + l * shape.ldb;
        for (int64_t j = 0; j < shape.n; ++j) row[j] += factor * other[j];
      }
    }
    return absl::OkStatus();
  }

  std::string Description() const override { return "portable loops"; }
  std::string ChosenIsa() const override { return "baseline"; }
};

}  // namespace

std::unique_ptr<TileGemm> MakePortableTileGemm() {
  return std::make_unique<PortableTileGemm>();
}

#ifndef ATTN_WITH_ONEDNN
std::unique_ptr<TileGemm> MakeTileGemm(Isa) { return MakePortableTileGemm(); }
#endif

}  // namespace attn
