// The bytes of a snapshot (README.md) back into a session, however they are
// cut. Nothing is believed: the header is checked before its sizes are, sizes
// before a page is taken, pages against their checksums at the end; only then
// there is a session. Dropped before that, it leaves no trace.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/clock.h"
#include "core/kv_cache/page_pool.h"
#include "core/kv_cache/session.h"
#include "core/snapshot/block_cursor.h"
#include "core/snapshot/piece_checksums.h"
#include "core/snapshot/snapshot_contents.h"

namespace attn {

// Thread-compatible.
class SnapshotReader {
 public:
  // Borrows the pool and the tenant, whose the session will be and who pays for
  // its pages from the first on. `limits`: what a spec may ask for.
  SnapshotReader(PagePool& pool, const SessionLimits& limits, Tenant& tenant)
      : pool_(pool), limits_(limits), tenant_(tenant) {}

  // Takes the next bytes. Errors, after which it is of no use: DATA_LOSS /
  // SNAPSHOT_DAMAGED; UNIMPLEMENTED / NOT_SERVED for another format;
  // INVALID_ARGUMENT for a spec that this server does not take;
  // RESOURCE_EXHAUSTED / KV_MEMORY or QUOTA.
  absl::Status Add(std::string_view bytes);

  // What the header says, once it was read; else null.
  const SnapshotContents* contents() const {
    return cursor_ == nullptr ? nullptr : &contents_;
  }

  // The session, under `id`; once, after the last Add. DATA_LOSS when bytes are
  // missing. REQUIRES: every Add was OK, `id` is legal.
  absl::StatusOr<std::unique_ptr<Session>> Finish(const std::string& id,
                                                  TimePoint now);

 private:
  enum class Part { kSize, kHead, kPages, kChecksums, kEnd };

  // Takes what it can of `bytes` and goes on to the next part when this one is
  // whole.
  absl::Status TakeText(std::string_view& bytes);
  absl::Status TakeBlock(std::string_view& bytes);
  // Begins the part that follows, skipping empty ones.
  absl::Status EndText();
  absl::Status StartPages();
  absl::Status CheckBudget() const;
  void EndPages();
  // The page of the block that the cursor stands at.
  absl::StatusOr<std::byte*> CurrentPage();

  PagePool& pool_;
  const SessionLimits limits_;
  Tenant& tenant_;

  Part part_ = Part::kSize;
  // Size, head or checksums, as far as they are there, and their whole size.
  std::string text_;
  int64_t text_bytes_ = 8;
  int64_t received_bytes_ = 0;

  // From the head on.
  SnapshotContents contents_;
  std::unique_ptr<BlockCursor> cursor_;
  int64_t bytes_in_block_ = 0;
  PieceChecksums pieces_;
  std::string checksums_;  // Found; made when all pages are in.
  std::vector<std::vector<PageRef>> pages_;  // [num_layers][pages so far]
};

}  // namespace attn
