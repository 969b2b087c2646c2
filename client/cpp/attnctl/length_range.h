// A range of lengths, as --q-len and --kv-len take it.
#pragma once

#include <cstdint>

namespace attn::attnctl {

// A closed range; `first == last` for a plain number.
struct LengthRange {
  int64_t first = 1;
  int64_t last = 1;
};

}  // namespace attn::attnctl
