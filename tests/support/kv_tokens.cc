#include "tests/support/kv_tokens.h"

#include <algorithm>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "core/base/status_macros.h"
#include "core/tensor/conversions.h"
#include "tests/support/random.h"

namespace attn::test {
namespace {

// In [-127, 127], never 0. Half of the keys and one value of each token are
// +-127: then the scales of an int8 page are 1, and it holds integers exactly.
float Element(uint64_t id, int64_t head, int64_t dim, bool is_value) {
  const auto place = static_cast<uint64_t>(head * 4096 + dim * 2 + is_value);
  const uint64_t bits = Mix(id * 0x9e3779b97f4a7c15u + place);
  const bool is_largest = is_value ? dim == 0 : (bits >> 33) % 2 == 0;
  const auto magnitude = static_cast<float>(is_largest ? 127 : 1 + bits % 127);
  return (bits >> 32) % 2 == 0 ? magnitude : -magnitude;
}

float Widen(DataType dtype, const std::byte* from) {
  float value;
  ConvertToF32(dtype, from, 1, 1.0f, &value);
  return value;
}

// Whether tokens [token, token + n) may be written: a page that is packed and
// begins in the append is written whole or not at all.
bool IsWritable(const KvAppend& append, const KvFormat& format, int64_t token,
                int64_t n) {
  const int64_t begin = token - token % kPageTokens;
  const bool is_filled =
      append.start() <= begin &&
      begin + kPageTokens <= append.start() + append.num_tokens();
  return !format.packs_full_pages || !is_filled || n == kPageTokens;
}

// [n, dim] of tokens [first, first + n) of a head.
std::vector<float> Rows(const TokenIds& ids, int64_t first, int64_t n,
                        int64_t head, int64_t dim, bool is_value) {
  std::vector<float> rows;
  for (int64_t t = first; t < first + n; ++t) {
    for (int64_t d = 0; d < dim; ++d) {
      rows.push_back(Element(ids[t], head, d, is_value));
    }
  }
  return rows;
}

}  // namespace

float KeyAt(const PagedHead& head, int64_t token, int64_t dim) {
  const int64_t page = token / kPageTokens, place = token % kPageTokens;
  if (head.IsPacked(page)) return head.PackedKeys(page).At(dim, place);
  const int64_t offset = dim * kPageTokens + place;
  return Widen(head.dtype,
               head.KeyBlock(page) + offset * ElementBytes(head.dtype));
}

float ValueAt(const PagedHead& head, int64_t token, int64_t dim,
              int64_t value_head_dim) {
  const int64_t page = token / kPageTokens, place = token % kPageTokens;
  if (head.IsPacked(page)) {
    return head.PackedValues(page, value_head_dim).At(place, dim);
  }
  const int64_t offset = place * value_head_dim + dim;
  return Widen(head.dtype,
               head.ValueBlock(page) + offset * ElementBytes(head.dtype));
}

TokenIds IdsFrom(uint64_t first, int64_t n) {
  TokenIds ids(static_cast<size_t>(n));
  std::iota(ids.begin(), ids.end(), first);
  return ids;
}

AppendKey KeyOf(const TokenIds& ids) {
  AppendKey key{.num_tokens = std::ssize(ids)};
  for (const uint64_t id : ids) key.hash_low = Mix(key.hash_low + id + 1);
  key.hash_high = Mix(key.hash_low);
  return key;
}

void WriteIds(KvAppend& append, const KvFormat& format, const TokenIds& ids,
              int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end;) {
    const int64_t token = append.start() + i;
    const int64_t n = std::min(end - i, kPageTokens - token % kPageTokens);
    const int64_t num_heads =
        IsWritable(append, format, token, n) ? format.num_kv_heads : 0;
    for (int64_t head = 0; head < num_heads; ++head) {
      append.Write(head, token, n,
                   Rows(ids, i, n, head, format.head_dim, false).data(),
                   Rows(ids, i, n, head, format.value_head_dim, true).data());
    }
    i += n;
  }
}

absl::Status AppendIds(KvLayer& layer, const KvFormat& format,
                       const TokenIds& ids,
                       std::optional<int64_t> expected_length) {
  ATTN_ASSIGN_OR_RETURN(KvAppend append,
                        layer.BeginAppend(KeyOf(ids), expected_length));
  if (!append.is_repeat()) WriteIds(append, format, ids, 0, std::ssize(ids));
  append.Commit();
  return absl::OkStatus();
}

std::string CompareWithIds(const KvSnapshot& snapshot, const TokenIds& ids) {
  if (snapshot.length != std::ssize(ids)) {
    return absl::StrCat("length ", snapshot.length, ", not ", ids.size());
  }
  const KvFormat& format = snapshot.format;
  for (int64_t h = 0; h < format.num_kv_heads; ++h) {
    const PagedHead head = snapshot.Head(h);
    for (int64_t t = snapshot.first_token; t < snapshot.length; ++t) {
      bool is_equal = true;
      for (int64_t d = 0; d < format.head_dim; ++d) {
        is_equal &= KeyAt(head, t, d) == Element(ids[t], h, d, false);
      }
      for (int64_t d = 0; d < format.value_head_dim; ++d) {
        is_equal &= ValueAt(head, t, d, format.value_head_dim) ==
                    Element(ids[t], h, d, true);
      }
      if (!is_equal) return absl::StrCat("token ", t, " of head ", h);
    }
  }
  return "";
}

bool HasZeroTail(const KvSnapshot& snapshot) {
  const KvFormat& format = snapshot.format;
  const auto end =
      static_cast<int64_t>(snapshot.pages->data.size()) * kPageTokens +
      snapshot.first_token;
  for (int64_t h = 0; h < format.num_kv_heads; ++h) {
    const PagedHead head = snapshot.Head(h);
    for (int64_t t = snapshot.length; t < end; ++t) {
      for (int64_t d = 0; d < format.head_dim; ++d) {
        if (KeyAt(head, t, d) != 0) return false;
      }
      for (int64_t d = 0; d < format.value_head_dim; ++d) {
        if (ValueAt(head, t, d, format.value_head_dim) != 0) return false;
      }
    }
  }
  return true;
}

}  // namespace attn::test
