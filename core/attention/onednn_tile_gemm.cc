// TileGemm on oneDNN's sgemm, but for narrow products. Its C function is the
// same in oneDNN 2.6 (Debian 12) and 3.x (Debian 13), needs no primitive on the
// request path, and is faster on tiles than 2.6's matmul primitive: 129-137
// against 113-128 GFLOP/s (design/performance.md).
//
// Bits: sgemm may round a row differently for another m. That is within our
// promise, since tile sizes are functions of the request alone.
#include "absl/strings/str_cat.h"
#include "core/attention/onednn_ukernel_tile_gemm.h"
#include "core/attention/small_tile_gemm.h"
#include "core/attention/tile_gemm.h"
#include "dnnl.hpp"

// From libgomp, which Debian's oneDNN runs on. Declared here because clang
// without libomp has no omp.h; the setting is per calling thread.
extern "C" void omp_set_num_threads(int num_threads);

namespace attn {
namespace {

std::string IsaName(dnnl::cpu_isa isa) {
  switch (isa) {
    case dnnl::cpu_isa::sse41:
      return "SSE4.1";
    case dnnl::cpu_isa::avx:
      return "AVX";
    case dnnl::cpu_isa::avx2:
      return "AVX2";
    case dnnl::cpu_isa::avx2_vnni:
      return "AVX2_VNNI";
    case dnnl::cpu_isa::avx512_core:
      return "AVX512";
    case dnnl::cpu_isa::avx512_core_vnni:
      return "AVX512_VNNI";
    case dnnl::cpu_isa::avx512_core_bf16:
      return "AVX512_BF16";
    default:
      return absl::StrCat("isa 0x", absl::Hex(static_cast<int>(isa)));
  }
}

bool HasAvx512() {
  const auto isa = static_cast<unsigned>(dnnl::get_effective_cpu_isa());
  return (isa & dnnl_cpu_isa_avx512_core) == dnnl_cpu_isa_avx512_core;
}

// The library copies A before it multiplies, which narrow products do not pay
// for: prefill of head_dim 64 is 5 % faster without (tests/bench/README.md).
// That is so for exactly the columns that the own product takes at a time (9
// columns take it ten times as long as the library, 48 twice), where B's rows
// lie close together (1 KiB apart it is a fifth slower), and with AVX-512 (with
// AVX2 it is a tenth slower).
bool IsNarrow(const GemmShape& shape) {
  constexpr int64_t kColumns = 64;
  constexpr int64_t kFurthest = 128;
  return shape.n == kColumns && shape.ldb <= kFurthest;
}

class OnednnTileGemm final : public TileGemm {
 public:
  explicit OnednnTileGemm(bool has_avx512) : has_avx512_(has_avx512) {}

  absl::Status Multiply(const GemmShape& shape, const float* a, const float* b,
                        float* c, bool accumulate) const override {
    if (has_avx512_ && IsNarrow(shape)) {
      return own_.Multiply(shape, a, b, c, accumulate);
    }
    const dnnl_status_t status =
        dnnl_sgemm('N', 'N', shape.m, shape.n, shape.k, 1.0f, a, shape.lda, b,
                   shape.ldb, accumulate ? 1.0f : 0.0f, c, shape.ldc);
    if (status == dnnl_success) return absl::OkStatus();
    return absl::InternalError("the matrix library failed");
  }

  std::string Description() const override {
    const dnnl_version_t* version = dnnl_version();
    return absl::StrCat("oneDNN ", version->major, ".", version->minor, ".",
                        version->patch);
  }

  std::string ChosenIsa() const override {
    return IsaName(dnnl::get_effective_cpu_isa());
  }

  void ConfineToCallingThread() const override { omp_set_num_threads(1); }

 private:
  const bool has_avx512_;
  SmallTileGemm own_;
};

void CapIsa(Isa max_isa) {
  // Fails once a kernel was made; a second engine in one process keeps the cap.
  if (max_isa == Isa::kAvx2) dnnl_set_max_cpu_isa(dnnl_cpu_isa_avx2);
  if (max_isa == Isa::kAvx512) dnnl_set_max_cpu_isa(dnnl_cpu_isa_avx512_core);
}

}  // namespace

std::unique_ptr<TileGemm> MakeTileGemm(Isa max_isa) {
  CapIsa(max_isa);
  const bool has_avx512 = HasAvx512();
  auto library = std::make_unique<OnednnTileGemm>(has_avx512);
#ifdef ATTN_HAS_UKERNEL
  // With AVX2 they are no faster than sgemm.
  if (has_avx512) return WithUkernels(std::move(library));
#endif
  return library;
}

}  // namespace attn
