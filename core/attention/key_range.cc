#include "core/attention/key_range.h"

#include <algorithm>

namespace attn {
namespace {

// offset + row - window leaves int64 for legal options, never this.
__extension__ using Wide = __int128;

int64_t Clamp(Wide value, int64_t first, int64_t last) {
  return static_cast<int64_t>(std::clamp<Wide>(value, first, last));
}

}  // namespace

KeyRange KeyStructure::Allowed(int64_t row) const {
  const Wide position = Wide{offset} + row;
  Wide first = kv_first;
  Wide last = kv_limit;
  if (left_window.has_value()) first = position - *left_window;
  if (right_window.has_value()) {
    last = std::min(last, position + *right_window + 1);
  }
  if (is_causal) last = std::min(last, position + 1);
  const int64_t lowest = std::min(kv_first, kv_limit);
  return {Clamp(first, lowest, kv_limit), Clamp(last, lowest, kv_limit)};
}

}  // namespace attn
