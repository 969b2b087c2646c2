#include "core/attention/key_range.h"

#include <algorithm>

namespace attn {
namespace {

// offset + row - window leaves int64 for legal options, never this.
__extension__ using Wide = __int128;

int64_t Clamp(Wide value, int64_t last) {
  return static_cast<int64_t>(std::clamp<Wide>(value, 0, last));
}

}  // namespace

KeyRange KeyStructure::Allowed(int64_t row) const {
  const Wide position = Wide{offset} + row;
  Wide first = 0;
  Wide last = kv_limit;
  if (left_window.has_value()) first = position - *left_window;
  if (right_window.has_value()) {
    last = std::min(last, position + *right_window + 1);
  }
  if (is_causal) last = std::min(last, position + 1);
  return {Clamp(first, kv_limit), Clamp(last, kv_limit)};
}

}  // namespace attn
