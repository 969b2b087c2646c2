#include "core/snapshot/snapshot_contents.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "core/base/check.h"
#include "core/base/checked_math.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/kv_cache/session_id.h"

namespace attn {
namespace {

// Rows that may still be asked, from the next one on, see these tokens: the
// window's rule of kv_layer.h.
bool KeepsWindow(const LayerExtent& layer, int64_t window) {
  if (layer.first_token == 0) return true;
  return window > 0 && layer.first_token <= layer.length - window + 1;
}

absl::Status CheckLayer(int64_t number, const LayerExtent& layer,
                        const KvSpec& spec) {
  if (layer.length < 0 || layer.length > spec.max_length) {
    return Damaged(absl::StrCat("layer_lengths[", number,
                                "] must be from 0 to max_length ",
                                spec.max_length, "; got ", layer.length));
  }
  const bool is_page_start =
      layer.first_token >= 0 && layer.first_token % kPageTokens == 0;
  if (!is_page_start || !KeepsWindow(layer, spec.window)) {
    return Damaged(absl::StrCat(
        "first_tokens[", number, "] must begin a page that no row of window ",
        spec.window, " behind ", layer.length, " tokens needs an earlier of",
        "; got ", layer.first_token));
  }
  return absl::OkStatus();
}

}  // namespace

int64_t SnapshotContents::num_pages() const {
  int64_t count = 0;
  for (const LayerExtent& layer : layers) count += layer.num_pages();
  return count;
}

int64_t SnapshotContents::page_data_bytes() const {
  const auto bytes = CheckedMul(num_pages(), FormatOf(spec).page_bytes());
  ATTN_CHECK(bytes.has_value());
  return *bytes;
}

absl::Status Damaged(std::string_view what) {
  return MakeError(absl::StatusCode::kDataLoss, Reason::kSnapshotDamaged,
                   "snapshot: " + std::string(what));
}

absl::Status CheckHasSnapshots(const KvSpec& spec) {
  if (spec.kv_dtype != KvDtype::kInt8) return absl::OkStatus();
  return NotServed("snapshots of spec.kv_dtype", "INT8");
}

absl::Status CheckContents(const SnapshotContents& contents) {
  if (!IsSessionId(contents.session_id)) {
    return Damaged("session_id must be 1 to 64 letters, digits, '_' or '-'");
  }
  const KvSpec& spec = contents.spec;
  if (std::ssize(contents.layers) != spec.num_layers) {
    return Damaged(
        absl::StrCat("layer_lengths must have num_layers = ", spec.num_layers,
                     " entries; got ", contents.layers.size()));
  }
  int64_t pages = 0;
  for (int64_t i = 0; i < spec.num_layers; ++i) {
    ATTN_RETURN_IF_ERROR(CheckLayer(i, contents.layers[i], spec));
    const auto sum = CheckedAdd(pages, contents.layers[i].num_pages());
    if (!sum.has_value()) return Damaged("has too many tokens");
    pages = *sum;
  }
  if (!CheckedMul(pages, FormatOf(spec).page_bytes()).has_value()) {
    return Damaged("has too many bytes");
  }
  return absl::OkStatus();
}

}  // namespace attn
