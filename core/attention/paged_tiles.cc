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

// Whether a tile of these keys lies in a page as kernels want it.
bool IsInPlace(const PagedHead& paged, int64_t first_key, int64_t num_keys) {
  const int64_t page = first_key / kPageTokens;
  return first_key % kPageTokens + num_keys <= kPageTokens &&
         page >= paged.first_page && paged.dtype == DataType::kF32 &&
         !paged.IsPacked(page);
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

// Packed rows say it by their scales: 64 of them instead of 64 rows.
bool AreKnownFinite(const PagedHead& paged, const Stretch& from, int64_t dim) {
  if (from.page < paged.first_page) return true;
  if (!paged.IsPacked(from.page)) return false;
  const Int8Rows rows = PackedValuesOf(paged, from, dim);
  bool has_marked = false;
  for (int64_t i = 0; i < from.n; ++i) has_marked |= rows.IsMarked(i);
  return !has_marked;
}

// The stretch of keys that lie in one page and are not f32.
std::optional<Stretch> StoredStretch(const PagedHead& paged, int64_t first_key,
                                     int64_t num_keys) {
  const int64_t page = first_key / kPageTokens;
  const int64_t first = first_key % kPageTokens;
  const bool is_stored =
      paged.is_on() && page >= paged.first_page &&
      first + num_keys <= kPageTokens &&
      (paged.dtype != DataType::kF32 || paged.IsPacked(page));
  if (!is_stored) return std::nullopt;
  return Stretch{page, first, num_keys, 0};
}

StoredMatrix::Form HalfForm(DataType dtype) {
  return dtype == DataType::kF16 ? StoredMatrix::Form::kF16
                                 : StoredMatrix::Form::kBF16;
}

}  // namespace

std::optional<StoredMatrix> StoredKeys(const Problem& problem,
                                       int64_t first_key, int64_t num_keys) {
  const PagedHead& paged = problem.paged;
  const auto from = StoredStretch(paged, first_key, num_keys);
  if (!from.has_value()) return std::nullopt;
  if (!paged.IsPacked(from->page)) {
    return StoredMatrix{HalfForm(paged.dtype),
                        paged.KeyBlock(from->page) + from->first * 2, nullptr};
  }
  const Int8Rows rows = paged.PackedKeys(from->page);
  for (int64_t d = 0; d < problem.key.dim; ++d) {
    if (rows.IsMarked(d)) return std::nullopt;
  }
  return StoredMatrix{
      StoredMatrix::Form::kInt8,
      reinterpret_cast<const std::byte*>(rows.codes + from->first),
      rows.scales};
}

std::optional<StoredMatrix> StoredValues(const Problem& problem,
                                         int64_t first_key, int64_t num_keys) {
  const PagedHead& paged = problem.paged;
  const int64_t dim = problem.value.dim;
  const auto from = StoredStretch(paged, first_key, num_keys);
  if (!from.has_value()) return std::nullopt;
  if (!paged.IsPacked(from->page)) {
    const std::byte* data =
        paged.ValueBlock(from->page) + from->first * dim * 2;
    if (!AreFiniteHalves(data, num_keys * dim, paged.dtype)) {
      return std::nullopt;
    }
    return StoredMatrix{HalfForm(paged.dtype), data, nullptr};
  }
  if (!AreKnownFinite(paged, *from, dim)) return std::nullopt;
  const Int8Rows rows = PackedValuesOf(paged, *from, dim);
  return StoredMatrix{StoredMatrix::Form::kInt8,
                      reinterpret_cast<const std::byte*>(rows.codes),
                      rows.scales};
}

KeyTile PackPagedKeys(const Problem& problem, int64_t first_key,
                      int64_t num_keys, const KeyTileScratch& scratch) {
  const PagedHead& paged = problem.paged;
  const int64_t page = first_key / kPageTokens;
  if (IsInPlace(paged, first_key, num_keys)) {
    const auto* block = reinterpret_cast<const float*>(paged.KeyBlock(page));
    return {block + first_key % kPageTokens, kPageTokens};
  }
  ForEachPage(first_key, num_keys, [&](const Stretch& from) {
    WidenKeys(paged, from, problem.key.dim, scratch.packed + from.column,
              scratch.stride);
  });
  return {scratch.packed, scratch.stride};
}

PagedValues PackPagedValues(const Problem& problem, int64_t first_key,
                            int64_t num_keys, float* packed) {
  const PagedHead& paged = problem.paged;
  const int64_t dim = problem.value.dim;
  const int64_t page = first_key / kPageTokens;
  if (IsInPlace(paged, first_key, num_keys)) {
    const auto* block = reinterpret_cast<const float*>(paged.ValueBlock(page));
    return {block + first_key % kPageTokens * dim, false};
  }
  bool is_known_finite = true;
  ForEachPage(first_key, num_keys, [&](const Stretch& from) {
    WidenValues(paged, from, dim, packed + from.column * dim);
    is_known_finite = is_known_finite && AreKnownFinite(paged, from, dim);
  });
  return {packed, is_known_finite};
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
