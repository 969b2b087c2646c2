#include "client/cpp/attnctl/kv_footprint.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace attn::attnctl {
namespace {

constexpr int64_t kPageTokens = 64;
constexpr int64_t kAlignment = 64;  // Of every block of a page.
constexpr int64_t kSlabBytes = int64_t{2} << 20;
constexpr int64_t kScaleBytes = 4;

int64_t DivideUp(int64_t value, int64_t by) { return (value + by - 1) / by; }

int64_t RoundUp(int64_t value, int64_t multiple) {
  return DivideUp(value, multiple) * multiple;
}

int64_t ElementBytes(client::KvDtype kv_dtype) {
  const bool is_half =
      kv_dtype == client::KvDtype::kBf16 || kv_dtype == client::KvDtype::kF16;
  return is_half ? 2 : 4;  // The open pages of INT8 are F32.
}

int64_t ValueHeadDim(const client::SessionSpec& spec) {
  return spec.value_head_dim == 0 ? spec.head_dim : spec.value_head_dim;
}

int64_t OpenPageBytes(const client::SessionSpec& spec) {
  const int64_t row = spec.head_dim + ValueHeadDim(spec);
  return spec.num_kv_heads * row * kPageTokens * ElementBytes(spec.kv_dtype);
}

// Rows of int8 and a scale for each: of the keys a channel, of the values a
// token.
int64_t PackedPageBytes(const client::SessionSpec& spec) {
  return spec.num_kv_heads *
         (kPageTokens * (spec.head_dim + ValueHeadDim(spec)) +
          RoundUp(spec.head_dim * kScaleBytes, kAlignment) +
          RoundUp(kPageTokens * kScaleBytes, kAlignment));
}

absl::Status CheckSize(const client::SessionSpec& spec, int64_t tokens) {
  if (spec.num_layers == 0 || spec.num_kv_heads == 0 || spec.head_dim == 0 ||
      tokens < 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "layers, KV heads and dim must be positive, tokens not negative; got ",
        spec.num_layers, ", ", spec.num_kv_heads, ", ", spec.head_dim, " and ",
        tokens));
  }
  constexpr double kMost = 9007199254740992.0;  // 2^53
  const double bytes =
      static_cast<double>(spec.num_layers) * spec.num_kv_heads *
      (static_cast<double>(spec.head_dim) + spec.value_head_dim) * 2 *
      static_cast<double>(kScaleBytes) *
      static_cast<double>(tokens + 2 * kPageTokens);
  return bytes < kMost ? absl::OkStatus()
                       : absl::InvalidArgumentError(absl::StrCat(
                             "a session must be smaller than 2^53 bytes; got ",
                             "about ", bytes));
}

// As core/kv_cache/page_slab.h, SlabShape::Whole: how many pages a slab has,
// and how many bytes.
struct Slab {
  int64_t pages = 0;
  int64_t bytes = 0;
};

Slab SlabOf(int64_t page_bytes) {
  constexpr int kTries = 8;
  constexpr double kUnusedShare = 0.125;
  const int64_t least = std::max<int64_t>(1, kSlabBytes / page_bytes);
  Slab best;
  double best_share = 2;
  for (int64_t n = least; n < least + kTries && best_share > kUnusedShare;
       ++n) {
    const int64_t bytes = RoundUp(n * page_bytes, kSlabBytes);
    const int64_t pages = bytes / page_bytes;
    const double share = static_cast<double>(bytes - pages * page_bytes) /
                         static_cast<double>(bytes);
    if (share < best_share) {
      best = {pages, bytes};
      best_share = share;
    }
  }
  return best;
}

int64_t SlabBytes(int64_t page_bytes, int64_t pages) {
  const Slab slab = SlabOf(page_bytes);
  return DivideUp(pages, slab.pages) * slab.bytes;
}

}  // namespace

absl::StatusOr<KvFootprint> FootprintOf(const client::SessionSpec& spec,
                                        int64_t tokens) {
  if (absl::Status status = CheckSize(spec, tokens); !status.ok()) {
    return status;
  }
  const bool is_packed = spec.kv_dtype == client::KvDtype::kInt8;
  const int64_t layers = spec.num_layers;
  KvFootprint session;
  session.open_page_bytes = OpenPageBytes(spec);
  session.page_bytes =
      is_packed ? PackedPageBytes(spec) : session.open_page_bytes;
  session.pages = layers * DivideUp(tokens, kPageTokens);
  session.token_bytes = DivideUp(layers * session.page_bytes, kPageTokens);
  const int64_t full = tokens / kPageTokens;
  const int64_t open = tokens % kPageTokens == 0 ? 0 : 1;
  session.kv_bytes =
      layers * (full * session.page_bytes + open * session.open_page_bytes);
  session.full_pages = layers * (is_packed ? full : full + open);
  session.open_pages = is_packed ? layers : 0;
  return session;
}

int64_t BudgetFor(const KvFootprint& session, int64_t sessions) {
  // An append that goes on into the next page holds both open pages until the
  // first is packed; one at a time.
  return SlabBytes(session.page_bytes, sessions * session.full_pages) +
         SlabBytes(session.open_page_bytes,
                   (sessions + 1) * session.open_pages);
}

}  // namespace attn::attnctl
