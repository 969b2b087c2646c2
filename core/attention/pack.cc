#include "core/attention/pack.h"

#include <algorithm>

#include "core/tensor/conversions.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/attention/pack.cc"
#include "hwy/foreach_target.h"  // Includes this file once per target.
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace attn::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET == HWY_SCALAR
constexpr int64_t kBlock = 1;

void TransposeBlock(const float* from, int64_t, float* to, int64_t) {
  *to = *from;
}
#else
constexpr int64_t kBlock = 4;

// Four rows of four floats from `from`, transposed into `to`.
void TransposeBlock(const float* from, int64_t from_stride, float* to,
                    int64_t to_stride) {
  const hn::FixedTag<float, 4> f32;
  const hn::FixedTag<double, 2> f64;
  const auto row0 = hn::LoadU(f32, from);
  const auto row1 = hn::LoadU(f32, from + from_stride);
  const auto row2 = hn::LoadU(f32, from + 2 * from_stride);
  const auto row3 = hn::LoadU(f32, from + 3 * from_stride);
  const auto low01 = hn::BitCast(f64, hn::InterleaveLower(f32, row0, row1));
  const auto high01 = hn::BitCast(f64, hn::InterleaveUpper(f32, row0, row1));
  const auto low23 = hn::BitCast(f64, hn::InterleaveLower(f32, row2, row3));
  const auto high23 = hn::BitCast(f64, hn::InterleaveUpper(f32, row2, row3));
  const auto store = [&](auto column, int64_t index) {
    hn::StoreU(hn::BitCast(f32, column), f32, to + index * to_stride);
  };
  store(hn::InterleaveLower(f64, low01, low23), 0);
  store(hn::InterleaveUpper(f64, low01, low23), 1);
  store(hn::InterleaveLower(f64, high01, high23), 2);
  store(hn::InterleaveUpper(f64, high01, high23), 3);
}
#endif

// to [columns, to_stride] = transpose of from [rows, from_stride].
void Transpose(const float* from, int64_t rows, int64_t columns,
               int64_t from_stride, float* to, int64_t to_stride) {
  const int64_t block_rows = rows - rows % kBlock;
  const int64_t block_columns = columns - columns % kBlock;
  for (int64_t c = 0; c < block_columns; c += kBlock) {
    for (int64_t r = 0; r < block_rows; r += kBlock) {
      TransposeBlock(from + r * from_stride + c, from_stride,
                     to + c * to_stride + r, to_stride);
    }
  }
  for (int64_t r = 0; r < rows; ++r) {
    const int64_t first = r < block_rows ? block_columns : 0;
    for (int64_t c = first; c < columns; ++c) {
      to[c * to_stride + r] = from[r * from_stride + c];
    }
  }
}

// Finite times 0 is 0; NaN and infinity times 0 are NaN, and stay in the sum.
bool AllFinite(const float* values, int64_t n) {
  const hn::ScalableTag<float> tag;
  const auto lanes = static_cast<int64_t>(hn::Lanes(tag));
  const auto zero = hn::Zero(tag);
  auto sum = zero;
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    sum = hn::MulAdd(hn::LoadU(tag, values + i), zero, sum);
  }
  float rest = 0;
  for (; i < n; ++i) rest += values[i] * 0.0f;
  return hn::GetLane(hn::SumOfLanes(tag, sum)) + rest == 0.0f;
}

}  // namespace attn::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attn {

HWY_EXPORT(Transpose);
HWY_EXPORT(AllFinite);

void PackQueryTile(const Problem& problem, RowRange rows, float factor,
                   float* packed) {
  const int64_t dim = problem.query.dim;
  for (int64_t r = rows.first; r < rows.last; ++r) {
    const int64_t row = problem.RowOf(r);
    float* target = packed + (r - rows.first) * dim;
    ConvertToF32(problem.query.dtype, problem.query.Row(problem.HeadOf(r), row),
                 dim, factor, target);
    if (problem.query_rotation.is_on()) {
      RotateRow(problem.query_rotation, row, target);
    }
  }
}

namespace {

// Runs visit(page, first, n, column) for the stretch of every page under keys
// [first_key, first_key + num_keys): n tokens from place `first` of the page on
// are columns `column` and on of the tile.
template <typename Visit>
void ForEachPage(int64_t first_key, int64_t num_keys, const Visit& visit) {
  int64_t column = 0;
  while (column < num_keys) {
    const int64_t token = first_key + column;
    const int64_t first = token % kPageTokens;
    const int64_t n = std::min(kPageTokens - first, num_keys - column);
    visit(token / kPageTokens, first, n, column);
    column += n;
  }
}

// Whether a tile of these keys lies in a page as kernels want it. Weights are
// shown for tokens that left the window, too, whose pages are gone.
bool IsInPlace(const PagedHead& paged, int64_t first_key, int64_t num_keys) {
  return first_key % kPageTokens + num_keys <= kPageTokens &&
         first_key / kPageTokens >= paged.first_page &&
         paged.dtype == DataType::kF32;
}

KeyTile PackPagedKeys(const Problem& problem, int64_t first_key,
                      int64_t num_keys, const KeyTileScratch& scratch) {
  const PagedHead& paged = problem.paged;
  const int64_t element = ElementBytes(paged.dtype);
  const int64_t dim = problem.key.dim;
  if (IsInPlace(paged, first_key, num_keys)) {
    const auto* block =
        reinterpret_cast<const float*>(paged.KeyBlock(first_key / kPageTokens));
    return {block + first_key % kPageTokens, kPageTokens};
  }
  ForEachPage(first_key, num_keys,
              [&](int64_t page, int64_t first, int64_t n, int64_t column) {
                // Pages that left the window stand before the tile's first seen
                // key.
                const bool is_there = page >= paged.first_page;
                for (int64_t d = 0; d < dim; ++d) {
                  float* to = scratch.packed + d * scratch.stride + column;
                  if (is_there) {
                    ConvertToF32(paged.dtype,
                                 paged.KeyBlock(page) +
                                     (d * kPageTokens + first) * element,
                                 n, 1.0f, to);
                  } else {
                    std::fill(to, to + n, 0.0f);
                  }
                }
              });
  return {scratch.packed, scratch.stride};
}

const float* PackPagedValues(const Problem& problem, int64_t first_key,
                             int64_t num_keys, float* packed) {
  const PagedHead& paged = problem.paged;
  const int64_t element = ElementBytes(paged.dtype);
  const int64_t dim = problem.value.dim;
  if (IsInPlace(paged, first_key, num_keys)) {
    const auto* block = reinterpret_cast<const float*>(
        paged.ValueBlock(first_key / kPageTokens));
    return block + first_key % kPageTokens * dim;
  }
  ForEachPage(first_key, num_keys,
              [&](int64_t page, int64_t first, int64_t n, int64_t column) {
                float* to = packed + column * dim;
                if (page >= paged.first_page) {
                  ConvertToF32(paged.dtype,
                               paged.ValueBlock(page) + first * dim * element,
                               n * dim, 1.0f, to);
                } else {
                  std::fill(to, to + n * dim, 0.0f);
                }
              });
  return packed;
}

const float* PackValues(const RowsView& value, int64_t first_key,
                        int64_t num_keys, float* packed) {
  for (int64_t j = 0; j < num_keys; ++j) {
    ConvertToF32(value.dtype, value.Row(0, first_key + j), value.dim, 1.0f,
                 packed + j * value.dim);
  }
  return packed;
}

}  // namespace

KeyTile PackKeyTile(const Problem& problem, int64_t first_key, int64_t num_keys,
                    const KeyTileScratch& scratch) {
  if (problem.paged.is_on()) {
    return PackPagedKeys(problem, first_key, num_keys, scratch);
  }
  const RowsView& key = problem.key;
  const float* rows = reinterpret_cast<const float*>(key.Row(0, first_key));
  int64_t row_stride = key.row_stride;
  const bool is_turned = problem.key_rotation.is_on();
  if (key.dtype != DataType::kF32 || is_turned) {
    for (int64_t j = 0; j < num_keys; ++j) {
      float* row = scratch.widened + j * key.dim;
      ConvertToF32(key.dtype, key.Row(0, first_key + j), key.dim, 1.0f, row);
      if (is_turned) RotateRow(problem.key_rotation, first_key + j, row);
    }
    rows = scratch.widened;
    row_stride = key.dim;
  }
  HWY_DYNAMIC_DISPATCH(Transpose)
  (rows, num_keys, key.dim, row_stride, scratch.packed, scratch.stride);
  return {scratch.packed, scratch.stride};
}

ValueTile PackValueTile(const Problem& problem, int64_t first_key,
                        int64_t num_keys, float* packed) {
  const float* data =
      problem.paged.is_on()
          ? PackPagedValues(problem, first_key, num_keys, packed)
          : PackValues(problem.value, first_key, num_keys, packed);
  const int64_t count = num_keys * problem.value.dim;
  return {data, HWY_DYNAMIC_DISPATCH(AllFinite)(data, count)};
}

}  // namespace attn
#endif  // HWY_ONCE
