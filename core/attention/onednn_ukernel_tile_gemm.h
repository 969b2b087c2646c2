// TileGemm on oneDNN's BRGEMM ukernels: prefill of whole tiles is 1 to 3 %
// faster by them than by the sgemm of the same library (tests/bench/README.md).
// In builds whose library has them, MakeTileGemm puts this before that.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "core/attention/onednn_ukernel_cache.h"
#include "core/attention/small_tile_gemm.h"
#include "core/attention/tile_gemm.h"

namespace attn {

// Thread-safe. Which way a product goes follows from its shape and the CPU
// alone, and so do its bits.
class UkernelTileGemm final : public TileGemm {
 public:
  // `library` makes the products that ukernels are not for.
  explicit UkernelTileGemm(std::unique_ptr<TileGemm> library,
                           size_t max_shapes = UkernelCache::kMaxShapes)
      : library_(std::move(library)), kernels_(max_shapes) {}

  absl::Status Multiply(const GemmShape& shape, const float* a, const float* b,
                        float* c, bool accumulate) const override;

  std::string Description() const override;
  std::string ChosenIsa() const override { return library_->ChosenIsa(); }
  void ConfineToCallingThread() const override {
    library_->ConfineToCallingThread();
  }

  // Shapes that have a ukernel at the moment, or were refused one.
  size_t num_shapes() const { return kernels_.size(); }

 private:
  struct Rest;

  // By blocks of so many rows, while there are as many.
  absl::Status MultiplyBlocks(int64_t rows, Rest& rest) const;

  const std::unique_ptr<TileGemm> library_;
  SmallTileGemm own_;

  mutable UkernelCache kernels_;
};

// `library` behind ukernels, or alone where this CPU has none.
std::unique_ptr<TileGemm> WithUkernels(std::unique_ptr<TileGemm> library);

}  // namespace attn
