// Sessions as the contract describes them: lists of tokens, and which of them
// are still kept, in which form.
#pragma once

#include <algorithm>
#include <map>
#include <optional>

#include "core/kv_cache/session_spec.h"
#include "tests/support/kv_tokens.h"

namespace attn::test {

// A layer as the contract describes it.
struct LayerModel {
  TokenIds ids;
  // The last append, if it may still be repeated.
  std::optional<int64_t> last_start;
  // The first row that may be asked again: what it sees is still there.
  int64_t oldest_row = 0;
  // In an int8 session: a truncation or a fork ended within a packed page.
  bool is_tail_packed = false;

  int64_t length() const { return std::ssize(ids); }
};

struct SessionModel {
  KvSpec spec;
  TimePoint last_used;
  std::map<int64_t, LayerModel> layers;

  bool IsExpired(TimePoint now) const {
    return now - last_used >= *spec.idle_ttl;
  }
};

// The first token that a row sees.
inline int64_t FirstSeen(const KvSpec& spec, int64_t row) {
  return spec.window == 0 ? 0 : std::max<int64_t>(0, row - spec.window + 1);
}

// Pages that the window has left are those wholly before what the oldest row
// sees.
inline int64_t FirstKept(const KvSpec& spec, const LayerModel& layer) {
  const int64_t first = FirstSeen(spec, layer.oldest_row);
  return first - first % kPageTokens;
}

inline bool Keeps(const KvSpec& spec, const LayerModel& layer, int64_t length) {
  if (length == 0) return true;
  const int64_t first = FirstKept(spec, layer);
  return length <= layer.length() && length >= first &&
         FirstSeen(spec, length) >= first;
}

inline void Cut(LayerModel& layer, int64_t length) {
  if (length == layer.length()) return;
  if (length / kPageTokens < layer.length() / kPageTokens) {
    layer.is_tail_packed = true;
  }
  layer.ids.resize(static_cast<size_t>(length));
  layer.last_start.reset();
  if (length == 0) layer.oldest_row = 0;
}

// Of its pages from `first_token` on.
inline int64_t BytesOf(const KvFormat& format, const LayerModel& layer,
                       int64_t first_token) {
  const int64_t num_full = (layer.length() - first_token) / kPageTokens;
  const int64_t num_open = layer.length() % kPageTokens > 0 ? 1 : 0;
  if (!format.packs_full_pages) {
    return (num_full + num_open) * format.page_bytes();
  }
  return num_full * format.packed_page_bytes() +
         num_open * (layer.is_tail_packed ? format.packed_page_bytes()
                                          : format.page_bytes());
}

}  // namespace attn::test
