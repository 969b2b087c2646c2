#include "core/attention/onednn_ukernel_tile_gemm.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/status_macros.h"

namespace attn {
namespace {

// Rows that a ukernel is made for. Tiles have any number of rows up to 256, and
// a ukernel for each of them would be made more often than used; so a tile goes
// by the largest blocks that fit. Whole tiles are 1 % faster than by 64 rows.
// (8, 32 and 56 rows are up to 6 % slower.)
constexpr int64_t kSmallBlock = 12;
constexpr int64_t kBlocks[] = {256, 64, kSmallBlock};

// Other widths are faster by sgemm (prefill of head_dim 80 by 2.5 %), and other
// depths are the ends of sequences, too many to make ukernels for.
constexpr int64_t kWidth = 64;
constexpr int64_t kDepth = 16;

bool IsForUkernels(const GemmShape& shape) {
  return shape.m >= kSmallBlock && shape.n % kWidth == 0 &&
         shape.k % kDepth == 0;
}

}  // namespace

// The rows of a product that are still to be made.
struct UkernelTileGemm::Rest {
  GemmShape shape;
  const float* a;
  const float* b;
  float* c;
  bool accumulate;

  void Skip(int64_t rows) {
    shape.m -= rows;
    a += rows * shape.lda;
    c += rows * shape.ldc;
  }
};

absl::Status UkernelTileGemm::Multiply(const GemmShape& shape, const float* a,
                                       const float* b, float* c,
                                       bool accumulate) const {
  if (!IsForUkernels(shape)) {
    return library_->Multiply(shape, a, b, c, accumulate);
  }
  Rest rest{shape, a, b, c, accumulate};
  for (const int64_t rows : kBlocks) {
    if (rest.shape.m < rows) continue;
    ATTN_RETURN_IF_ERROR(MultiplyBlocks(rows, rest));
  }
  if (rest.shape.m == 0) return absl::OkStatus();
  const TileGemm* last = library_.get();
  if (rest.shape.m < kSmallBlock) last = &own_;
  return last->Multiply(rest.shape, rest.a, b, rest.c, accumulate);
}

absl::Status UkernelTileGemm::MultiplyBlocks(int64_t rows, Rest& rest) const {
  GemmShape block = rest.shape;
  block.m = rows;
  const auto kernel = kernels_.Get(block, rest.accumulate);
  ATTN_RETURN_IF_ERROR(kernel.status());
  if (*kernel == nullptr) return absl::OkStatus();  // Refused.
  for (; rest.shape.m >= rows; rest.Skip(rows)) {
    ATTN_RETURN_IF_ERROR((*kernel)->Multiply(rest.a, rest.b, rest.c));
  }
  return absl::OkStatus();
}

std::string UkernelTileGemm::Description() const {
  return absl::StrCat(library_->Description(), " ukernel");
}

std::unique_ptr<TileGemm> WithUkernels(std::unique_ptr<TileGemm> library) {
  const GemmShape any = {.m = kSmallBlock,
                         .n = kWidth,
                         .k = kWidth,
                         .lda = kWidth,
                         .ldb = kWidth,
                         .ldc = kWidth};
  if (!Ukernel::Create(any, /*accumulate=*/false).ok()) return library;
  return std::make_unique<UkernelTileGemm>(std::move(library));
}

}  // namespace attn
