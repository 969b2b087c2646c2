#include "core/attention/small_tile_gemm.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/attention/small_tile_gemm.cc"
#include "hwy/foreach_target.h"  // Includes this file once per target.
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace attn::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using FloatTag = hn::ScalableTag<float>;

// A product over some rows of A and columns of B.
struct Part {
  const GemmShape& shape;
  const float* a;
  const float* b;
  float* c;
  bool accumulate;
};

// NumRows rows times 4 vectors of columns: 16 accumulators at most, which hide
// the latency of a multiply-add. 4 is spelled out, since arrays of vectors
// would leave the registers.
template <int NumRows>
void FourVectors(const Part& part, int64_t row, int64_t column) {
  const FloatTag tag;
  const auto lanes = static_cast<int64_t>(hn::Lanes(tag));
  const GemmShape& s = part.shape;
  const auto start = [&](int r, int v) {
    return part.accumulate
               ? hn::LoadU(tag, part.c + (row + r) * s.ldc + column + v * lanes)
               : hn::Zero(tag);
  };
  const auto at = [&](int r) { return std::min(r, NumRows - 1); };
  auto c00 = start(0, 0), c01 = start(0, 1), c02 = start(0, 2),
       c03 = start(0, 3);
  auto c10 = start(at(1), 0), c11 = start(at(1), 1), c12 = start(at(1), 2),
       c13 = start(at(1), 3);
  auto c20 = start(at(2), 0), c21 = start(at(2), 1), c22 = start(at(2), 2),
       c23 = start(at(2), 3);
  auto c30 = start(at(3), 0), c31 = start(at(3), 1), c32 = start(at(3), 2),
       c33 = start(at(3), 3);
  const float* a = part.a + row * s.lda;
  const float* b = part.b + column;
  for (int64_t k = 0; k < s.k; ++k, b += s.ldb) {
    const auto b0 = hn::LoadU(tag, b);
    const auto b1 = hn::LoadU(tag, b + lanes);
    const auto b2 = hn::LoadU(tag, b + 2 * lanes);
    const auto b3 = hn::LoadU(tag, b + 3 * lanes);
    const auto step = [&](int r, auto& c0, auto& c1, auto& c2, auto& c3) {
      const auto factor = hn::Set(tag, a[r * s.lda + k]);
      c0 = hn::MulAdd(factor, b0, c0);
      c1 = hn::MulAdd(factor, b1, c1);
      c2 = hn::MulAdd(factor, b2, c2);
      c3 = hn::MulAdd(factor, b3, c3);
    };
    step(0, c00, c01, c02, c03);
    if constexpr (NumRows > 1) step(1, c10, c11, c12, c13);
    if constexpr (NumRows > 2) step(2, c20, c21, c22, c23);
    if constexpr (NumRows > 3) step(3, c30, c31, c32, c33);
  }
  const auto store = [&](int r, auto c0, auto c1, auto c2, auto c3) {
    float* c = part.c + (row + r) * s.ldc + column;
    hn::StoreU(c0, tag, c);
    hn::StoreU(c1, tag, c + lanes);
    hn::StoreU(c2, tag, c + 2 * lanes);
    hn::StoreU(c3, tag, c + 3 * lanes);
  };
  store(0, c00, c01, c02, c03);
  if constexpr (NumRows > 1) store(1, c10, c11, c12, c13);
  if constexpr (NumRows > 2) store(2, c20, c21, c22, c23);
  if constexpr (NumRows > 3) store(3, c30, c31, c32, c33);
}

void OneVector(const Part& part, int64_t row, int64_t column) {
  const FloatTag tag;
  const GemmShape& s = part.shape;
  float* c = part.c + row * s.ldc + column;
  auto sum = part.accumulate ? hn::LoadU(tag, c) : hn::Zero(tag);
  for (int64_t k = 0; k < s.k; ++k) {
    sum = hn::MulAdd(hn::Set(tag, part.a[row * s.lda + k]),
                     hn::LoadU(tag, part.b + k * s.ldb + column), sum);
  }
  hn::StoreU(sum, tag, c);
}

void OneElement(const Part& part, int64_t row, int64_t column) {
  const GemmShape& s = part.shape;
  float* c = part.c + row * s.ldc + column;
  float sum = part.accumulate ? *c : 0.0f;
  for (int64_t k = 0; k < s.k; ++k) {
    sum += part.a[row * s.lda + k] * part.b[k * s.ldb + column];
  }
  *c = sum;
}

template <int NumRows>
void Rows(const Part& part, int64_t row) {
  const auto lanes = static_cast<int64_t>(hn::Lanes(FloatTag()));
  const int64_t n = part.shape.n;
  int64_t column = 0;
  for (; column + 4 * lanes <= n; column += 4 * lanes) {
    FourVectors<NumRows>(part, row, column);
  }
  for (; column + lanes <= n; column += lanes) {
    for (int r = 0; r < NumRows; ++r) OneVector(part, row + r, column);
  }
  for (; column < n; ++column) {
    for (int r = 0; r < NumRows; ++r) OneElement(part, row + r, column);
  }
}

void MultiplySmall(const GemmShape& shape, const float* a, const float* b,
                   float* c, bool accumulate) {
  const Part part{shape, a, b, c, accumulate};
  int64_t row = 0;
  for (; row + 4 <= shape.m; row += 4) Rows<4>(part, row);
  switch (shape.m - row) {
    case 3:
      return Rows<3>(part, row);
    case 2:
      return Rows<2>(part, row);
    case 1:
      return Rows<1>(part, row);
    default:
      return;
  }
}

const char* TargetName() { return hwy::TargetName(HWY_TARGET); }

}  // namespace attn::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attn {

HWY_EXPORT(MultiplySmall);
HWY_EXPORT(TargetName);

absl::Status SmallTileGemm::Multiply(const GemmShape& shape, const float* a,
                                     const float* b, float* c,
                                     bool accumulate) const {
  HWY_DYNAMIC_DISPATCH(MultiplySmall)(shape, a, b, c, accumulate);
  return absl::OkStatus();
}

std::string SmallTileGemm::ChosenIsa() const {
  return HWY_DYNAMIC_DISPATCH(TargetName)();
}

}  // namespace attn
#endif  // HWY_ONCE
