// Which keys the structure (causal, windows, lengths) allows a query row:
// always one interval, so that kernels skip whole tiles and mask only at the
// edges.
#pragma once

#include <cstdint>
#include <optional>

namespace attn {

// Keys first <= j < last. Empty if first >= last.
struct KeyRange {
  int64_t first = 0;
  int64_t last = 0;

  bool empty() const { return first >= last; }
  bool Contains(int64_t key) const { return first <= key && key < last; }
  friend bool operator==(const KeyRange&, const KeyRange&) = default;
};

// The structure of one sequence.
struct KeyStructure {
  int64_t offset = 0;  // Position of query row 0; any int64.
  bool is_causal = false;
  std::optional<int64_t> left_window;   // Not negative.
  std::optional<int64_t> right_window;  // Not negative.
  int64_t kv_first = 0;                 // Keys before it are not there.
  int64_t kv_limit = 0;                 // Keys from here on are not allowed.

  // Keys allowed for query row `row`, within [kv_first, kv_limit). Exact for
  // every int64 offset and window.
  KeyRange Allowed(int64_t row) const;
};

}  // namespace attn
