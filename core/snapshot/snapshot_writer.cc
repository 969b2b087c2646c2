#include "core/snapshot/snapshot_writer.h"

#include <algorithm>
#include <utility>

#include "core/kv_cache/packed_blocks.h"
#include "core/snapshot/snapshot_header.h"

namespace attn {
namespace {

SnapshotContents ContentsOf(
    const Session& session,
    const std::vector<Session::LayerSnapshot>& snapshots) {
  SnapshotContents contents{
      .session_id = session.id(), .spec = session.spec(), .layers = {}};
  contents.layers.resize(static_cast<size_t>(session.spec().num_layers));
  for (const Session::LayerSnapshot& snapshot : snapshots) {
    contents.layers[snapshot.layer] = {.length = snapshot.kv.length,
                                       .first_token = snapshot.kv.first_token};
  }
  return contents;
}

}  // namespace

SnapshotWriter::SnapshotWriter(Session& session)
    : snapshots_(session.SnapshotLayers()),
      format_(session.format()),
      contents_(ContentsOf(session, snapshots_)),
      layers_(contents_.layers.size()),
      cursor_(contents_) {
  for (const Session::LayerSnapshot& snapshot : snapshots_) {
    layers_[snapshot.layer] = &snapshot.kv;
  }
}

void SnapshotWriter::Next(std::string& chunk) {
  chunk.clear();
  while (chunk.size() < kChunkBytes) {
    if (source_.empty() && !FindSource()) return;
    const std::string_view part = source_.substr(0, kChunkBytes - chunk.size());
    chunk.append(part);
    if (part_ == Part::kPages) {
      pieces_.Add(reinterpret_cast<const std::byte*>(part.data()),
                  std::ssize(part));
    }
    source_.remove_prefix(part.size());
  }
}

bool SnapshotWriter::FindSource() {
  if (part_ == Part::kStart) {
    part_ = Part::kHead;
    head_ = EncodeHead(contents_);
    source_ = head_;
    return true;
  }
  if (!cursor_.is_done()) {
    part_ = Part::kPages;
    source_ = BlockAt(cursor_);
    cursor_.Next();
    return true;
  }
  if (part_ == Part::kChecksums) return false;
  part_ = Part::kChecksums;
  checksums_ = pieces_.Finish();
  source_ = checksums_;
  return !source_.empty();
}

std::string_view SnapshotWriter::BlockAt(const BlockCursor& cursor) {
  const std::byte* page = WholePage(cursor.layer(), cursor.page());
  return {reinterpret_cast<const char*>(page + cursor.offset_in_page()),
          static_cast<size_t>(cursor.block_bytes())};
}

// Full pages never change. In the last one only the places before the length
// may be read: another table may be writing behind them.
const std::byte* SnapshotWriter::WholePage(int64_t layer, int64_t page) {
  const KvSnapshot& kv = *layers_[layer];
  const int64_t tail_tokens = kv.length % kPageTokens;
  const ShownPages& pages = *kv.pages;
  const bool is_tail = page + 1 == std::ssize(pages.data) && tail_tokens > 0;
  if (!is_tail) return pages.data[page];
  if (tail_layer_ == layer) return tail_.data();
  // A truncation may have left a packed page partly used; it is unpacked, as
  // the next append would do.
  const PageForm form =
      pages.forms.empty() ? PageForm::kFloat : pages.forms.back();
  tail_.assign(static_cast<size_t>(format_.page_bytes()), std::byte{0});
  CopyFirstTokens(format_, pages.refs.back().data(), form, tail_tokens,
                  tail_.data());
  tail_layer_ = layer;
  return tail_.data();
}

}  // namespace attn
