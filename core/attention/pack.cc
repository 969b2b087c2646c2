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

// NaN and infinity have all bits of the exponent.
bool AllFinite16(const uint16_t* halves, int64_t n, uint16_t exponent) {
  const hn::ScalableTag<uint16_t> tag;
  const auto lanes = static_cast<int64_t>(hn::Lanes(tag));
  const auto mask = hn::Set(tag, exponent);
  auto largest = hn::Zero(tag);
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    largest = hn::Max(largest, hn::And(hn::LoadU(tag, halves + i), mask));
  }
  bool is_finite = hn::AllTrue(tag, hn::Lt(largest, mask));
  for (; i < n; ++i) is_finite &= (halves[i] & exponent) != exponent;
  return is_finite;
}

}  // namespace attn::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attn {

HWY_EXPORT(Transpose);
HWY_EXPORT(AllFinite);
HWY_EXPORT(AllFinite16);

bool AreFiniteHalves(const std::byte* halves, int64_t n, DataType dtype) {
  return HWY_DYNAMIC_DISPATCH(AllFinite16)(
      reinterpret_cast<const uint16_t*>(halves), n,
      dtype == DataType::kF16 ? 0x7c00 : 0x7f80);
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

namespace {

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
  PagedValues values;
  if (problem.paged.is_on()) {
    values = PackPagedValues(problem, first_key, num_keys, packed);
  } else {
    values.data = PackValues(problem.value, first_key, num_keys, packed);
  }
  if (values.is_known_finite) return {values.data, true};
  const int64_t count = num_keys * problem.value.dim;
  return {values.data, HWY_DYNAMIC_DISPATCH(AllFinite)(values.data, count)};
}

}  // namespace attn
#endif  // HWY_ONCE
