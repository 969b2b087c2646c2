// What a snapshot says of its session before any page comes: everything but
// the elements. Sizes, places and checksums of the stream follow from it alone.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "core/base/checked_math.h"
#include "core/kv_cache/session_spec.h"
#include "core/tensor/kv_format.h"

namespace attn {

// Tokens of a layer: length ever appended, kept from first_token on.
struct LayerExtent {
  int64_t length = 0;
  int64_t first_token = 0;  // A multiple of kPageTokens.

  int64_t num_pages() const {
    return DivideUp(length, kPageTokens) - first_token / kPageTokens;
  }
  friend bool operator==(const LayerExtent&, const LayerExtent&) = default;
};

// Plain values: thread-compatible.
struct SnapshotContents {
  std::string session_id;
  KvSpec spec;                      // Defaults resolved.
  std::vector<LayerExtent> layers;  // [num_layers]

  int64_t num_pages() const;
  // Of all pages' tensors together. REQUIRES: CheckContents is OK.
  int64_t page_data_bytes() const;
};

// DATA_LOSS / SNAPSHOT_DAMAGED: "snapshot: <what>".
absl::Status Damaged(std::string_view what);

// UNIMPLEMENTED / NOT_SERVED for INT8, whose pages this format cannot describe.
// Ask before a SnapshotWriter is made; readers ask for themselves.
absl::Status CheckHasSnapshots(const KvSpec& spec);

// Whether a session can be like that: DATA_LOSS for an illegal id, a number of
// layers that is not the spec's, or a layer longer than max_length or without
// tokens that its window shows. REQUIRES: a resolved spec. Proves that no size
// of the contents overflows.
absl::Status CheckContents(const SnapshotContents& contents);

}  // namespace attn
