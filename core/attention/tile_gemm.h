// The one seam to the matrix library: small f32 products of packed tiles. The
// prefill kernel calls it twice a tile, for scores and for the weighted sum.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "core/base/isa.h"

namespace attn {

// C [m, n] = A [m, k] * B [k, n], row-major with leading dimensions in
// elements. REQUIRES: m, n, k >= 1; lda >= k, ldb >= n, ldc >= n.
struct GemmShape {
  int64_t m = 0;
  int64_t n = 0;
  int64_t k = 0;
  int64_t lda = 0;
  int64_t ldb = 0;
  int64_t ldc = 0;
};

// B as a page of the KV cache or a request keeps it. Borrows.
struct StoredMatrix {
  enum class Form { kF32, kF16, kBF16, kInt8 };
  Form form = Form::kF32;
  const std::byte* data = nullptr;    // [k, ldb]
  const float* row_scales = nullptr;  // [k] of int8 codes, not negative.
  // What will be read next, of the same form and as much; fetched meanwhile.
  // Null: not known.
  const std::byte* next = nullptr;
};

// Thread-safe: workers share one.
class TileGemm {
 public:
  virtual ~TileGemm() = default;

  // C = A * B, or C += A * B where `accumulate`. The same shape and values give
  // the same bits. INTERNAL when the library fails.
  virtual absl::Status Multiply(const GemmShape& shape, const float* a,
                                const float* b, float* c,
                                bool accumulate) const = 0;

  // Whether MultiplyStored is there.
  virtual bool TakesStored() const { return false; }
  // The same with elements widened on the way; the bits are those of widening
  // them first.
  virtual absl::Status MultiplyStored(const GemmShape& /*shape*/,
                                      const float* /*a*/,
                                      const StoredMatrix& /*b*/, float* /*c*/,
                                      bool /*accumulate*/) const {
    return absl::InternalError("no products with stored elements");
  }

  // Library and version, e.g. "oneDNN 2.6.3"; the ISA it uses, e.g. "AVX512".
  virtual std::string Description() const = 0;
  virtual std::string ChosenIsa() const = 0;

  // Makes the calling thread compute alone. Each worker calls it once.
  virtual void ConfineToCallingThread() const {}
};

// Plain loops: for builds without oneDNN, and for ThreadSanitizer, which does
// not understand libgomp.
std::unique_ptr<TileGemm> MakePortableTileGemm();

// oneDNN where the build has it (ATTN_WITH_ONEDNN), else the portable one. Caps
// the library's ISA; the cap holds for the process and must come before the
// first product.
std::unique_ptr<TileGemm> MakeTileGemm(Isa max_isa);

}  // namespace attn
