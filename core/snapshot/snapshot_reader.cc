#include "core/snapshot/snapshot_reader.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/snapshot/snapshot_header.h"

namespace attn {

absl::Status SnapshotReader::Add(std::string_view bytes) {
  received_bytes_ += std::ssize(bytes);
  while (!bytes.empty()) {
    if (part_ == Part::kEnd) return Damaged("goes on behind its end");
    ATTN_RETURN_IF_ERROR(part_ == Part::kPages ? TakeBlock(bytes)
                                               : TakeText(bytes));
  }
  return absl::OkStatus();
}

absl::Status SnapshotReader::TakeText(std::string_view& bytes) {
  const auto missing = static_cast<size_t>(text_bytes_ - std::ssize(text_));
  const std::string_view part = bytes.substr(0, missing);
  text_.append(part);
  bytes.remove_prefix(part.size());
  return std::ssize(text_) < text_bytes_ ? absl::OkStatus() : EndText();
}

absl::Status SnapshotReader::EndText() {
  if (part_ == Part::kSize) {
    ATTN_ASSIGN_OR_RETURN(const int64_t json_bytes, ParseHeaderSize(text_));
    text_bytes_ = kHeaderSizeBytes + json_bytes + kChecksumBytes;
    part_ = Part::kHead;
    return absl::OkStatus();
  }
  if (part_ == Part::kHead) return StartPages();
  if (text_ != checksums_) {
    const auto [found, expected] =
        std::mismatch(text_.begin(), text_.end(), checksums_.begin());
    return Damaged(absl::StrCat("the checksum of MiB ",
                                (found - text_.begin()) / kChecksumBytes,
                                " of its pages is wrong"));
  }
  part_ = Part::kEnd;
  return absl::OkStatus();
}

absl::Status SnapshotReader::StartPages() {
  ATTN_ASSIGN_OR_RETURN(contents_, ParseHead(text_, limits_));
  ATTN_RETURN_IF_ERROR(CheckBudget());
  cursor_ = std::make_unique<BlockCursor>(contents_);
  pages_.resize(contents_.layers.size());
  part_ = Part::kPages;
  if (cursor_->is_done()) EndPages();
  return absl::OkStatus();
}

// Before the first page is taken; the pool has the last word.
absl::Status SnapshotReader::CheckBudget() const {
  const int64_t needed = contents_.kv_bytes();
  const int64_t left = pool_.max_bytes() - pool_.used_bytes();
  ATTN_RETURN_IF_ERROR(tenant_.CheckKvBytes(needed));
  if (needed <= left) return absl::OkStatus();
  return MakeError(
      absl::StatusCode::kResourceExhausted, Reason::kKvMemory,
      absl::StrCat("the snapshot's pages must fit into what is left of the KV "
                   "memory of ",
                   pool_.max_bytes(), " bytes; they have ", needed,
                   " bytes, and ", std::max<int64_t>(left, 0), " are left"));
}

absl::Status SnapshotReader::TakeBlock(std::string_view& bytes) {
  ATTN_ASSIGN_OR_RETURN(std::byte * page, CurrentPage());
  const int64_t n =
      std::min(std::ssize(bytes), cursor_->block_bytes() - bytes_in_block_);
  std::byte* place = page + cursor_->offset_in_page() + bytes_in_block_;
  std::memcpy(place, bytes.data(), static_cast<size_t>(n));
  pieces_.Add(place, n);
  bytes.remove_prefix(static_cast<size_t>(n));
  bytes_in_block_ += n;
  if (bytes_in_block_ < cursor_->block_bytes()) return absl::OkStatus();
  bytes_in_block_ = 0;
  cursor_->Next();
  if (cursor_->is_done()) EndPages();
  return absl::OkStatus();
}

void SnapshotReader::EndPages() {
  checksums_ = pieces_.Finish();
  text_.clear();
  text_bytes_ = std::ssize(checksums_);
  part_ = checksums_.empty() ? Part::kEnd : Part::kChecksums;
}

// Pages are taken as their first bytes come.
absl::StatusOr<std::byte*> SnapshotReader::CurrentPage() {
  std::vector<PageRef>& pages = pages_[cursor_->layer()];
  if (cursor_->page() == std::ssize(pages)) {
    const int64_t bytes = FormatOf(contents_.spec).BytesOf(cursor_->form());
    ATTN_ASSIGN_OR_RETURN(PageRef ref, pool_.Allocate(bytes, &tenant_));
    pages.push_back(std::move(ref));
  }
  return pages[cursor_->page()].data();
}

absl::StatusOr<std::unique_ptr<Session>> SnapshotReader::Finish(
    const std::string& id, TimePoint now) {
  if (part_ != Part::kEnd) {
    return Damaged(
        absl::StrCat("ends too early, after ", received_bytes_, " bytes"));
  }
  auto session = std::make_unique<Session>(Session::Name{tenant_, id},
                                           contents_.spec, pool_, now);
  for (int64_t i = 0; i < std::ssize(contents_.layers); ++i) {
    const LayerExtent& layer = contents_.layers[i];
    if (layer.length == 0) continue;  // Nothing to make a layer for.
    session->AdoptLayer(i, layer.first_token, layer.length,
                        std::move(pages_[i]));
  }
  return session;
}

}  // namespace attn
