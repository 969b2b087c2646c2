#include "core/attention/small_tile_gemm.h"

#include <algorithm>
#include <type_traits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/attention/small_tile_gemm.cc"
// foreach_target.h must come first.
// clang-format off
#include "hwy/foreach_target.h"  // Includes this file once per target.
#include "hwy/highway.h"
#include "core/tensor/widen-inl.h"
// clang-format on

// Loops over registers: unrolled, or their arrays would lie in memory (gcc 12:
// 47 instead of 250 GFLOP/s).
#ifndef ATTN_UNROLL
#define ATTN_UNROLL _Pragma("GCC unroll 8")
#endif

HWY_BEFORE_NAMESPACE();
namespace attn::HWY_NAMESPACE {

// Rows by vectors of sums in registers: enough to hide the latency of a
// multiply-add, and no more than half of the 16 or 32 registers.
constexpr int kRows = 4;
constexpr int kVectors = HWY_TARGET <= HWY_AVX3 ? 4 : 2;
// Rows of B that all of A's rows and B's columns are multiplied by before the
// next ones: they stay in L1, and B is read nearly in one go.
constexpr int64_t kDepth = 64;
// How far ahead of what is read to fetch: what memory delivers in some 300 ns,
// and what fits into L1. Tried: 2 to 64 KiB (tests/bench/README.md).
template <typename T>
constexpr int64_t kAheadBytes = sizeof(T) == 4 ? 8 << 10 : 16 << 10;

// B of one form.
template <typename T>
struct Matrix {
  const T* data;
  const float* row_scales;
  int64_t ldb;
  int64_t size;   // In elements.
  const T* next;  // Or null.

  HWY_INLINE Floats Load(int64_t k, int64_t column) const {
    const auto wide = Widen(data + k * ldb + column);
    if constexpr (!std::is_same_v<T, int8_t>) return wide;
    return hn::Mul(wide, hn::Set(FloatTag(), row_scales[k]));
  }

  // Fetches what is read kAheadBytes later, but no further than B is long.
  HWY_INLINE void FetchAhead(int64_t k, int64_t column) const {
    constexpr int64_t kLine = 64 / sizeof(T);
    const int64_t ahead = std::min<int64_t>(kAheadBytes<T> / sizeof(T), size);
    const int64_t at = k * ldb + column + ahead;
    const T* from = at < size ? data + at : next + (at - size);
    for (int64_t i = 0; i < kVectors * NumLanes(); i += kLine) {
      __builtin_prefetch(from + i);
    }
  }
};

// Rows of B.
struct Depth {
  int64_t first;
  int64_t last;
};

// A product over some rows of A and columns of B.
template <typename T>
struct Part {
  const GemmShape& shape;
  const float* a;
  Matrix<T> b;
  float* c;
  bool accumulate;
};

// NumRows rows times NumVectors vectors of columns, over some rows of B.
template <int NumRows, int NumVectors, typename T>
HWY_INLINE void Block(const Part<T>& part, int64_t row, int64_t column,
                      Depth depth) {
  const FloatTag tag;
  const int64_t lanes = NumLanes();
  const GemmShape& s = part.shape;
  const float* a = part.a + row * s.lda;
  float* c = part.c + row * s.ldc + column;
  const bool accumulates = part.accumulate || depth.first > 0;
  Floats sums[NumRows][NumVectors];
  ATTN_UNROLL for (int r = 0; r < NumRows; ++r) {
    ATTN_UNROLL for (int v = 0; v < NumVectors; ++v) {
      sums[r][v] = accumulates ? hn::LoadU(tag, c + r * s.ldc + v * lanes)
                               : hn::Zero(tag);
    }
  }
  // The first rows fetch what comes next for all.
  const bool fetches = row == 0 && part.b.next != nullptr;
  for (int64_t k = depth.first; k < depth.last; ++k) {
    if (fetches) part.b.FetchAhead(k, column);
    Floats b[NumVectors];
    ATTN_UNROLL for (int v = 0; v < NumVectors; ++v) {
      b[v] = part.b.Load(k, column + v * lanes);
    }
    ATTN_UNROLL for (int r = 0; r < NumRows; ++r) {
      const auto factor = hn::Set(tag, a[r * s.lda + k]);
      ATTN_UNROLL for (int v = 0; v < NumVectors; ++v) {
        sums[r][v] = hn::MulAdd(factor, b[v], sums[r][v]);
      }
    }
  }
  ATTN_UNROLL for (int r = 0; r < NumRows; ++r) {
    ATTN_UNROLL for (int v = 0; v < NumVectors; ++v) {
      hn::StoreU(sums[r][v], tag, c + r * s.ldc + v * lanes);
    }
  }
}

// The last columns, fewer than a vector: as a block on padded copies. All of B
// first: a row copied just before it is loaded would wait for its store (64
// steps of one column and row: 0.58 us, now 0.28).
template <int NumRows, typename T>
void LastColumns(const Part<T>& part, int64_t row, int64_t column,
                 Depth depth) {
  constexpr int64_t kLanes = HWY_MAX_BYTES / sizeof(float);
  const GemmShape& s = part.shape;
  const int64_t n = s.n - column;
  HWY_ALIGN T rows[kDepth * kLanes] = {};
  HWY_ALIGN float sums[NumRows * kLanes] = {};
  for (int64_t k = depth.first; k < depth.last; ++k) {
    std::copy_n(part.b.data + k * s.ldb + column, n,
                rows + (k - depth.first) * kLanes);
  }
  float* c = part.c + row * s.ldc + column;
  const bool accumulates = part.accumulate || depth.first > 0;
  for (int r = 0; r < NumRows && accumulates; ++r) {
    std::copy_n(c + r * s.ldc, n, sums + r * kLanes);
  }
  GemmShape shape = s;
  shape.ldc = kLanes;
  Matrix<T> b{rows, part.b.row_scales, kLanes, 0, nullptr};
  if (b.row_scales != nullptr) b.row_scales += depth.first;
  const Part<T> padded{shape, part.a + row * s.lda + depth.first, b, sums,
                       accumulates};
  Block<NumRows, 1>(padded, 0, 0, {0, depth.last - depth.first});
  for (int r = 0; r < NumRows; ++r) {
    std::copy_n(sums + r * kLanes, n, c + r * s.ldc);
  }
}

template <int NumRows, typename T>
void Rows(const Part<T>& part, int64_t row, Depth depth) {
  const int64_t lanes = NumLanes();
  const int64_t n = part.shape.n;
  int64_t column = 0;
  for (; column + kVectors * lanes <= n; column += kVectors * lanes) {
    Block<NumRows, kVectors>(part, row, column, depth);
  }
  for (; column + lanes <= n; column += lanes) {
    Block<NumRows, 1>(part, row, column, depth);
  }
  if (column < n) LastColumns<NumRows>(part, row, column, depth);
}

template <typename T>
void AllRows(const Part<T>& part, Depth depth) {
  static_assert(kRows == 4);
  const int64_t m = part.shape.m;
  int64_t row = 0;
  for (; row + kRows <= m; row += kRows) Rows<kRows>(part, row, depth);
  switch (m - row) {
    case 3:
      return Rows<3>(part, row, depth);
    case 2:
      return Rows<2>(part, row, depth);
    case 1:
      return Rows<1>(part, row, depth);
    default:
      return;
  }
}

template <typename T>
void MultiplyForm(const GemmShape& shape, const float* a, const StoredMatrix& b,
                  float* c, bool accumulate) {
  const Matrix<T> matrix{reinterpret_cast<const T*>(b.data), b.row_scales,
                         shape.ldb, shape.k * shape.ldb,
                         reinterpret_cast<const T*>(b.next)};
  const Part<T> part{shape, a, matrix, c, accumulate};
  for (int64_t k = 0; k < shape.k; k += kDepth) {
    AllRows(part, {k, std::min(shape.k, k + kDepth)});
  }
}

void MultiplySmall(const GemmShape& shape, const float* a,
                   const StoredMatrix& b, float* c, bool accumulate) {
  switch (b.form) {
    case StoredMatrix::Form::kF32:
      return MultiplyForm<float>(shape, a, b, c, accumulate);
    case StoredMatrix::Form::kF16:
      return MultiplyForm<hwy::float16_t>(shape, a, b, c, accumulate);
    case StoredMatrix::Form::kBF16:
      return MultiplyForm<hwy::bfloat16_t>(shape, a, b, c, accumulate);
    case StoredMatrix::Form::kInt8:
      return MultiplyForm<int8_t>(shape, a, b, c, accumulate);
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
  const StoredMatrix stored{.form = StoredMatrix::Form::kF32,
                            .data = reinterpret_cast<const std::byte*>(b)};
  return MultiplyStored(shape, a, stored, c, accumulate);
}

absl::Status SmallTileGemm::MultiplyStored(const GemmShape& shape,
                                           const float* a,
                                           const StoredMatrix& b, float* c,
                                           bool accumulate) const {
  HWY_DYNAMIC_DISPATCH(MultiplySmall)(shape, a, b, c, accumulate);
  return absl::OkStatus();
}

std::string SmallTileGemm::ChosenIsa() const {
  return HWY_DYNAMIC_DISPATCH(TargetName)();
}

}  // namespace attn
#endif  // HWY_ONCE
