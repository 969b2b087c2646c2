#include "core/attention/paged_tiles.h"

#include <algorithm>

#include "core/tensor/conversions.h"

namespace attn {
namespace {

// Places [first, first + n) of a page, which are columns `column` and on of a
// tile.
struct Stretch {
  int64_t page = 0;
  int64_t first = 0;
  int64_t n = 0;
  int64_t column = 0;
};

// Runs visit(stretch) for every page under keys [first_key, first_key +
// num_keys).
template <typename Visit>
void ForEachPage(int64_t first_key, int64_t num_keys, const Visit& visit) {
  int64_t column = 0;
  while (column < num_keys) {
    const int64_t token = first_key + column;
    const int64_t first = token % kPageTokens;
    const int64_t n = std::min(kPageTokens - first, num_keys - column);
    visit(Stretch{token / kPageTokens, first, n, column});
    column += n;
  }
}

// to: [dim, stride].
void WidenKeys(const PagedHead& paged, const Stretch& from, int64_t dim,
               float* to, int64_t stride) {
  // Pages that left the window stand before the tile's first seen key.
  if (from.page < paged.first_page) {
    for (int64_t d = 0; d < dim; ++d) {
      std::fill(to + d * stride, to + d * stride + from.n, 0.0f);
    }
    return;
  }
  if (paged.IsPacked(from.page)) {
    WidenRows(paged.PackedKeys(from.page),
              {.num_rows = dim, .first = from.first, .n = from.n}, to, stride);
    return;
  }
  const int64_t element = ElementBytes(paged.dtype);
  const std::byte* block = paged.KeyBlock(from.page) + from.first * element;
  // A whole page into a tile as wide: one call instead of one a channel.
  if (from.n == kPageTokens && stride == kPageTokens) {
    ConvertToF32(paged.dtype, block, dim * kPageTokens, 1.0f, to);
    return;
  }
  for (int64_t d = 0; d < dim; ++d) {
    ConvertToF32(paged.dtype, block + d * kPageTokens * element, from.n, 1.0f,
                 to + d * stride);
  }
}

// The packed values of a stretch.
Int8Rows PackedValuesOf(const PagedHead& paged, const Stretch& from,
                        int64_t dim) {
  Int8Rows rows = paged.PackedValues(from.page, dim);
  rows.codes += from.first * dim;
  rows.scales += from.first;
  return rows;
}

// to: [from.n, dim].
void WidenValues(const PagedHead& paged, const Stretch& from, int64_t dim,
                 float* to) {
  if (from.page < paged.first_page) {
    std::fill(to, to + from.n * dim, 0.0f);
  } else if (paged.IsPacked(from.page)) {
    WidenRows(PackedValuesOf(paged, from, dim),
              {.num_rows = from.n, .first = 0, .n = dim}, to, dim);
  } else {
    const int64_t offset = from.first * dim * ElementBytes(paged.dtype);
    ConvertToF32(paged.dtype, paged.ValueBlock(from.page) + offset,
                 from.n * dim, 1.0f, to);
  }
}

StoredMatrix::Form FormOf(DataType dtype) {
  switch (dtype) {
    case DataType::kF16:
      return StoredMatrix::Form::kF16;
    case DataType::kBF16:
      return StoredMatrix::Form::kBF16;
    default:
      return StoredMatrix::Form::kF32;
  }
}

StoredMatrix Packed(const Int8Rows& rows) {
  return {.form = StoredMatrix::Form::kInt8,
          .data = reinterpret_cast<const std::byte*>(rows.codes),
          .row_scales = rows.scales};
}

bool HasMarked(const StoredMatrix& matrix, int64_t num_rows) {
  return matrix.row_scales != nullptr &&
         HasMarkedRow(matrix.row_scales, num_rows);
}

// The page of a tile that starts with one that is there; -1: there is none.
int64_t PageUnder(const PagedHead& paged, int64_t first_key, int64_t num_keys) {
  const int64_t page = first_key / kPageTokens;
  const bool is_one = paged.is_on() && page >= paged.first_page &&
                      first_key % kPageTokens == 0 && num_keys <= kPageTokens;
  return is_one ? page : -1;
}

// What to fetch meanwhile: after the keys of a page come its values and then
// the keys of the next page; packed blocks are so short that the same block of
// the next page is fetched. The last page fetches itself.
int64_t NextPage(const Problem& problem, int64_t page) {
  const int64_t next = page + 1;
  return next * kPageTokens < problem.kv_len ? next : page;
}

StoredMatrix KeysOf(const PagedHead& paged, int64_t page) {
  if (paged.IsPacked(page)) return Packed(paged.PackedKeys(page));
  return {FormOf(paged.dtype), paged.KeyBlock(page)};
}

StoredMatrix ValuesOf(const PagedHead& paged, int64_t page, int64_t dim) {
  if (paged.IsPacked(page)) return Packed(paged.PackedValues(page, dim));
  return {FormOf(paged.dtype), paged.ValueBlock(page)};
}

}  // namespace

std::optional<StoredMatrix> StoredKeys(const Problem& problem,
                                       int64_t first_key, int64_t num_keys) {
  const PagedHead& paged = problem.paged;
  const int64_t page = PageUnder(paged, first_key, num_keys);
  if (page < 0) return std::nullopt;
  StoredMatrix keys = KeysOf(paged, page);
  if (HasMarked(keys, problem.key.dim)) return std::nullopt;
  keys.next = paged.IsPacked(page)
                  ? KeysOf(paged, NextPage(problem, page)).data
                  : ValuesOf(paged, page, problem.value.dim).data;
  return keys;
}

std::optional<StoredMatrix> StoredValues(const Problem& problem,
                                         int64_t first_key, int64_t num_keys) {
  const PagedHead& paged = problem.paged;
  const int64_t dim = problem.value.dim;
  const int64_t page = PageUnder(paged, first_key, num_keys);
  if (page < 0) return std::nullopt;
  StoredMatrix values = ValuesOf(paged, page, dim);
  if (HasMarked(values, num_keys)) return std::nullopt;
  const int64_t next = NextPage(problem, page);
  values.next = paged.IsPacked(page) ? ValuesOf(paged, next, dim).data
                                     : KeysOf(paged, next).data;
  return values;
}

void PackPagedKeys(const Problem& problem, int64_t first_key, int64_t num_keys,
                   float* packed, int64_t stride) {
  ForEachPage(first_key, num_keys, [&](const Stretch& from) {
    WidenKeys(problem.paged, from, problem.key.dim, packed + from.column,
              stride);
  });
}

void PackPagedValues(const Problem& problem, int64_t first_key,
                     int64_t num_keys, float* packed) {
  const int64_t dim = problem.value.dim;
  ForEachPage(first_key, num_keys, [&](const Stretch& from) {
    WidenValues(problem.paged, from, dim, packed + from.column * dim);
  });
}

void WidenPagedKey(const PagedHead& paged, int64_t key, int64_t dim,
                   double* to) {
  const int64_t page = key / kPageTokens;
  const int64_t place = key % kPageTokens;
  if (page < paged.first_page) {
    std::fill(to, to + dim, 0.0);
  } else if (paged.IsPacked(page)) {
    const Int8Rows rows = paged.PackedKeys(page);
    for (int64_t d = 0; d < dim; ++d) to[d] = double{rows.At(d, place)};
  } else {
    const int64_t element = ElementBytes(paged.dtype);
    const std::byte* column = paged.KeyBlock(page) + place * element;
    for (int64_t d = 0; d < dim; ++d) {
      ConvertToF64(paged.dtype, column + d * kPageTokens * element, 1, to + d);
    }
  }
}

void WidenPagedValue(const PagedHead& paged, int64_t key, int64_t dim,
                     double* to) {
  const int64_t page = key / kPageTokens;
  const int64_t place = key % kPageTokens;
  if (page < paged.first_page) {
    std::fill(to, to + dim, 0.0);
  } else if (paged.IsPacked(page)) {
    const Int8Rows rows = paged.PackedValues(page, dim);
    for (int64_t d = 0; d < dim; ++d) to[d] = double{rows.At(place, d)};
  } else {
    const int64_t offset = place * dim * ElementBytes(paged.dtype);
    ConvertToF64(paged.dtype, paged.ValueBlock(page) + offset, dim, to);
  }
}

}  // namespace attn
