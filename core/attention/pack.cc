#include "core/attention/pack.h"

#include "core/attention/paged_tiles.h"
#include "core/tensor/conversions.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/attention/pack.cc"
#include "hwy/foreach_target.h"  // Includes this file once per target.
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace attn::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using FloatTag = hn::ScalableTag<float>;

// As many rows as a vector has lanes, kBlock floats of each, to kBlock vectors.
#if HWY_TARGET == HWY_SCALAR
constexpr int64_t kBlock = 1;

void TransposeBlock(const float* from, int64_t, float* to, int64_t) {
  *to = *from;
}
#else
constexpr int64_t kBlock = 4;

// A vector of blocks of four floats, block b from row 4 b.
template <class D>
HWY_INLINE hn::Vec<D> LoadBlocks(D tag, const float* from, int64_t stride) {
  if constexpr (hn::MaxLanes(D()) <= 4) {
    return hn::LoadU(tag, from);
  } else {
    const hn::Half<D> half;
    constexpr auto kHalf = static_cast<int64_t>(hn::MaxLanes(hn::Half<D>()));
    return hn::Combine(tag, LoadBlocks(half, from + kHalf * stride, stride),
                       LoadBlocks(half, from, stride));
  }
}

HWY_INLINE void TransposeBlock(const float* from, int64_t from_stride,
                               float* to, int64_t to_stride) {
  const FloatTag f32;
  const hn::Repartition<double, FloatTag> f64;
  const auto row0 = LoadBlocks(f32, from, from_stride);
  const auto row1 = LoadBlocks(f32, from + from_stride, from_stride);
  const auto row2 = LoadBlocks(f32, from + 2 * from_stride, from_stride);
  const auto row3 = LoadBlocks(f32, from + 3 * from_stride, from_stride);
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
  const auto lanes = static_cast<int64_t>(hn::Lanes(FloatTag()));
  const int64_t block_rows = rows - rows % lanes;
  const int64_t block_columns = columns - columns % kBlock;
  for (int64_t r = 0; r < block_rows; r += lanes) {
    for (int64_t c = 0; c < block_columns; c += kBlock) {
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
  // Four sums, which hide the latency: one took a fifth of a decode tile.
  auto a = zero, b = zero, c = zero, d = zero;
  int64_t i = 0;
  for (; i + 4 * lanes <= n; i += 4 * lanes) {
    a = hn::MulAdd(hn::LoadU(tag, values + i), zero, a);
    b = hn::MulAdd(hn::LoadU(tag, values + i + lanes), zero, b);
    c = hn::MulAdd(hn::LoadU(tag, values + i + 2 * lanes), zero, c);
    d = hn::MulAdd(hn::LoadU(tag, values + i + 3 * lanes), zero, d);
  }
  float rest = 0;
  for (; i < n; ++i) rest += values[i] * 0.0f;
  const auto sum = hn::Add(hn::Add(a, b), hn::Add(c, d));
  return hn::GetLane(hn::SumOfLanes(tag, sum)) + rest == 0.0f;
}

}  // namespace attn::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attn {

HWY_EXPORT(Transpose);
HWY_EXPORT(AllFinite);

bool AreFinite(const float* rows, int64_t num_rows, int64_t dim,
               int64_t stride) {
  if (dim == stride) {
    return HWY_DYNAMIC_DISPATCH(AllFinite)(rows, num_rows * dim);
  }
  for (int64_t r = 0; r < num_rows; ++r) {
    if (!HWY_DYNAMIC_DISPATCH(AllFinite)(rows + r * stride, dim)) return false;
  }
  return true;
}

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

void PackKeyTile(const Problem& problem, int64_t first_key, int64_t num_keys,
                 const KeyTileScratch& scratch) {
  if (problem.paged.is_on()) {
    return PackPagedKeys(problem, first_key, num_keys, scratch.packed,
                         scratch.stride);
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
}

ValueTile PackValueTile(const Problem& problem, int64_t first_key,
                        int64_t num_keys, float* packed) {
  const RowsView& value = problem.value;
  if (problem.paged.is_on()) {
    PackPagedValues(problem, first_key, num_keys, packed);
    return {packed, value.dim};
  }
  if (value.dtype == DataType::kF32) {
    return {reinterpret_cast<const float*>(value.Row(0, first_key)),
            value.row_stride};
  }
  for (int64_t j = 0; j < num_keys; ++j) {
    ConvertToF32(value.dtype, value.Row(0, first_key + j), value.dim, 1.0f,
                 packed + j * value.dim);
  }
  return {packed, value.dim};
}

}  // namespace attn
#endif  // HWY_ONCE
