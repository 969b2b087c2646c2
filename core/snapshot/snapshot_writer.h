// A session as the bytes of a snapshot (README.md), a chunk at a time. What is
// written is the session at the moment of making the writer: pages stay alive
// by their references, and appends, truncations and deletion go on meanwhile.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/kv_cache/session.h"
#include "core/snapshot/block_cursor.h"
#include "core/snapshot/piece_checksums.h"
#include "core/snapshot/snapshot_contents.h"

namespace attn {

// Thread-compatible; the session is not used after construction. Pages must go
// back before their pool ends.
class SnapshotWriter {
 public:
  static constexpr size_t kChunkBytes = size_t{1} << 20;

  explicit SnapshotWriter(Session& session);

  // The next bytes in `chunk`, whose memory is used again: kChunkBytes, fewer
  // at the end, none behind it. About 0.2 ms a chunk.
  void Next(std::string& chunk);

  const SnapshotContents& contents() const { return contents_; }

 private:
  // Sets source_ to what comes next; false at the end.
  bool FindSource();
  std::string_view BlockAt(const BlockCursor& cursor);
  // A page of which every place counts: the page itself, or a copy of it with
  // zeroes behind the layer's length.
  const std::byte* WholePage(int64_t layer, int64_t page);

  const std::vector<Session::LayerSnapshot> snapshots_;
  const KvFormat format_;
  const SnapshotContents contents_;
  std::vector<const KvSnapshot*> layers_;  // [num_layers], null: empty.

  std::string head_;
  std::string checksums_;  // Made when all pages are out.
  BlockCursor cursor_;
  PieceChecksums pieces_;
  enum class Part { kStart, kHead, kPages, kChecksums } part_ = Part::kStart;
  std::string_view source_;  // What is left of a block, or of a text above.

  // The last page of layer tail_layer_, if that is partly filled.
  std::vector<std::byte> tail_;
  std::optional<int64_t> tail_layer_;
};

}  // namespace attn
