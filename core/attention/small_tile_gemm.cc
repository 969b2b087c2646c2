#include "core/attention/small_tile_gemm.h"

#include <algorithm>

#include "core/tensor/conversions.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/attention/small_tile_gemm.cc"
#include "hwy/foreach_target.h"  // Includes this file once per target.
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace attn::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using FloatTag = hn::ScalableTag<float>;
using Floats = hn::Vec<FloatTag>;

// Kinds of B. At(k) is a row, which gives vectors and single elements in f32.
struct FloatMatrix {
  const float* data;
  int64_t ldb;

  struct Row {
    const float* data;
    Floats Load(int64_t column) const {
      return hn::LoadU(FloatTag(), data + column);
    }
    float Get(int64_t column) const { return data[column]; }
  };
  Row At(int64_t k) const { return {data + k * ldb}; }
};

struct F16Matrix {
  const uint16_t* data;
  int64_t ldb;

  struct Row {
    const uint16_t* data;
    Floats Load(int64_t column) const {
      const hn::Rebind<hwy::float16_t, FloatTag> tag;
      const auto* halves =
          reinterpret_cast<const hwy::float16_t*>(data + column);
      return hn::PromoteTo(FloatTag(), hn::LoadU(tag, halves));
    }
    float Get(int64_t column) const { return F16ToF32(data[column]); }
  };
  Row At(int64_t k) const { return {data + k * ldb}; }
};

struct BF16Matrix {
  const uint16_t* data;
  int64_t ldb;

  struct Row {
    const uint16_t* data;
    Floats Load(int64_t column) const {
      const hn::Rebind<uint16_t, FloatTag> tag;
      const hn::RebindToUnsigned<FloatTag> bits;
      const auto wide = hn::PromoteTo(bits, hn::LoadU(tag, data + column));
      return hn::BitCast(FloatTag(), hn::ShiftLeft<16>(wide));
    }
    float Get(int64_t column) const { return BF16ToF32(data[column]); }
  };
  Row At(int64_t k) const { return {data + k * ldb}; }
};

struct Int8Matrix {
  const int8_t* data;
  const float* scales;
  int64_t ldb;

  struct Row {
    const int8_t* data;
    float scale;
    Floats Load(int64_t column) const {
      const hn::Rebind<int8_t, FloatTag> tag;
      const hn::RebindToSigned<FloatTag> ints;
      const auto codes = hn::PromoteTo(ints, hn::LoadU(tag, data + column));
      return hn::Mul(hn::ConvertTo(FloatTag(), codes),
                     hn::Set(FloatTag(), scale));
    }
    float Get(int64_t column) const {
      return static_cast<float>(data[column]) * scale;
    }
  };
  Row At(int64_t k) const { return {data + k * ldb, scales[k]}; }
};

// A product over some rows of A and columns of B.
template <typename Matrix>
struct Part {
  const GemmShape& shape;
  const float* a;
  Matrix b;
  float* c;
  bool accumulate;
};

// NumRows rows times 4 vectors of columns: 16 accumulators at most, which hide
// the latency of a multiply-add. 4 is spelled out, since arrays of vectors
// would leave the registers.
template <int NumRows, typename Matrix>
void FourVectors(const Part<Matrix>& part, int64_t row, int64_t column) {
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
  for (int64_t k = 0; k < s.k; ++k) {
    const auto b = part.b.At(k);
    const auto b0 = b.Load(column);
    const auto b1 = b.Load(column + lanes);
    const auto b2 = b.Load(column + 2 * lanes);
    const auto b3 = b.Load(column + 3 * lanes);
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

template <typename Matrix>
void OneVector(const Part<Matrix>& part, int64_t row, int64_t column) {
  const FloatTag tag;
  const GemmShape& s = part.shape;
  float* c = part.c + row * s.ldc + column;
  auto sum = part.accumulate ? hn::LoadU(tag, c) : hn::Zero(tag);
  for (int64_t k = 0; k < s.k; ++k) {
    sum = hn::MulAdd(hn::Set(tag, part.a[row * s.lda + k]),
                     part.b.At(k).Load(column), sum);
  }
  hn::StoreU(sum, tag, c);
}

template <typename Matrix>
void OneElement(const Part<Matrix>& part, int64_t row, int64_t column) {
  const GemmShape& s = part.shape;
  float* c = part.c + row * s.ldc + column;
  float sum = part.accumulate ? *c : 0.0f;
  for (int64_t k = 0; k < s.k; ++k) {
    sum += part.a[row * s.lda + k] * part.b.At(k).Get(column);
  }
  *c = sum;
}

template <int NumRows, typename Matrix>
void Rows(const Part<Matrix>& part, int64_t row) {
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

template <typename Matrix>
void AllRows(const Part<Matrix>& part) {
  const int64_t m = part.shape.m;
  int64_t row = 0;
  for (; row + 4 <= m; row += 4) Rows<4>(part, row);
  switch (m - row) {
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

void MultiplySmall(const GemmShape& shape, const float* a, const float* b,
                   float* c, bool accumulate) {
  AllRows(Part<FloatMatrix>{shape, a, {b, shape.ldb}, c, accumulate});
}

void MultiplyStoredSmall(const GemmShape& shape, const float* a,
                         const StoredMatrix& b, float* c, bool accumulate) {
  const auto* halves = reinterpret_cast<const uint16_t*>(b.data);
  switch (b.form) {
    case StoredMatrix::Form::kF16:
      return AllRows(
          Part<F16Matrix>{shape, a, {halves, shape.ldb}, c, accumulate});
    case StoredMatrix::Form::kBF16:
      return AllRows(
          Part<BF16Matrix>{shape, a, {halves, shape.ldb}, c, accumulate});
    case StoredMatrix::Form::kInt8:
      return AllRows(Part<Int8Matrix>{
          shape,
          a,
          {reinterpret_cast<const int8_t*>(b.data), b.row_scales, shape.ldb},
          c,
          accumulate});
  }
}

const char* TargetName() { return hwy::TargetName(HWY_TARGET); }

}  // namespace attn::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attn {

HWY_EXPORT(MultiplySmall);
HWY_EXPORT(MultiplyStoredSmall);
HWY_EXPORT(TargetName);

absl::Status SmallTileGemm::Multiply(const GemmShape& shape, const float* a,
                                     const float* b, float* c,
                                     bool accumulate) const {
  HWY_DYNAMIC_DISPATCH(MultiplySmall)(shape, a, b, c, accumulate);
  return absl::OkStatus();
}

absl::Status SmallTileGemm::MultiplyStored(const GemmShape& shape,
                                           const float* a,
                                           const StoredMatrix& b, float* c,
                                           bool accumulate) const {
  HWY_DYNAMIC_DISPATCH(MultiplyStoredSmall)(shape, a, b, c, accumulate);
  return absl::OkStatus();
}

std::string SmallTileGemm::ChosenIsa() const {
  return HWY_DYNAMIC_DISPATCH(TargetName)();
}

}  // namespace attn
#endif  // HWY_ONCE
