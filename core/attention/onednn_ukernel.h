// One BRGEMM ukernel of oneDNN: a product of one shape and the code that was
// generated for it. Unlike sgemm it copies neither operand. For
// onednn_ukernel_tile_gemm, in builds whose library has the API
// (ATTN_HAS_UKERNEL; Debian 13's 3.7.2, not Debian 12's 2.6.3).
#pragma once

#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "core/attention/tile_gemm.h"

struct dnnl_brgemm;

namespace attn {

// Thread-safe: it never changes. Products of f32 have no AMX tiles, so threads
// need not set the palette of theirs.
class Ukernel {
 public:
  // Generates the code: 105 to 260 us. UNIMPLEMENTED when the library has no
  // such kernel for this shape on this CPU, INTERNAL when it fails.
  static absl::StatusOr<std::shared_ptr<const Ukernel>> Create(
      const GemmShape& shape, bool accumulate);

  // As TileGemm::Multiply, of the shape it was made for.
  absl::Status Multiply(const float* a, const float* b, float* c) const;

 private:
  struct Destroy {
    void operator()(dnnl_brgemm* brgemm) const;
  };
  using Brgemm = std::unique_ptr<dnnl_brgemm, Destroy>;

  explicit Ukernel(Brgemm brgemm) : brgemm_(std::move(brgemm)) {}

  const Brgemm brgemm_;
};

}  // namespace attn
