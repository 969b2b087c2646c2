// One layer of a session: a page table, its length, and the rule that makes a
// repeated append harmless.
//
// A window frees pages when the next append is committed, by that append's
// first row: the rows of the newest append can still be asked again, so that a
// repeated append and attend answers the bytes of the first time.
//
// Invariants:
//   1. length counts every token ever appended (less what was truncated); pages
//      hold the tokens from first_token() on, a multiple of kPageTokens.
//   2. A token's place is written once, before any snapshot that shows it.
//      Only the last page has places that are not written yet; they are zero
//      in a page that this table writes in place.
//   3. The last page is written in place if this table made it and never showed
//      more than it has now, or if nobody else refers to it (then what others
//      left behind its tokens is cleared); else it is copied first (copy on
//      write).
//   4. A fork or a snapshot holds references; the tokens it sees never change.
//      What lies behind its length may: zero, or tokens of another table, which
//      may be being written.
//   5. In a layer that packs (KvFormat::packs_full_pages) a page is packed by
//      the append that fills it, and never written again: whoever grows from
//      within it unpacks what he shows into a page of his own. So just the last
//      page can be one of f32.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/kv_cache/page_pool.h"
#include "core/tensor/kv_format.h"

namespace attn {

// References to the pages of a layer, as a kernel reads them. Constant once
// made: snapshots of several moments share one while no page comes or goes.
struct ShownPages {
  std::vector<PageRef> refs;
  std::vector<const std::byte*> data;  // Of refs.
  std::vector<PageForm> forms;         // None: all are kFloat.
};

// What a kernel may read: the tokens of one layer at one moment. Keeps their
// pages alive. Thread-compatible, constant once made.
struct KvSnapshot {
  KvFormat format;
  int64_t length = 0;       // Tokens.
  int64_t first_token = 0;  // Kept from here on; a multiple of kPageTokens.
  std::shared_ptr<const ShownPages> pages;

  // Borrows the snapshot.
  PagedKv View() const;
  PagedHead Head(int64_t kv_head) const { return View().Head(kv_head); }
};

// A page of a table.
struct TablePage {
  PageRef ref;
  PageForm form = PageForm::kFloat;
};

// What identifies an append: a repeat has the same start and content.
struct AppendKey {
  int64_t num_tokens = 0;
  // Hash of dtype, shape and bytes of what is appended.
  uint64_t hash_low = 0;
  uint64_t hash_high = 0;

  friend bool operator==(const AppendKey&, const AppendKey&) = default;
};

class KvLayer;

// An append that has its pages but is not visible yet. Tokens are written in
// runs within a page; Commit shows them. Dropped without Commit, it leaves no
// trace. Borrows the layer, which must not be used meanwhile.
// Thread-compatible; different heads or tokens may be written by different
// threads.
class KvAppend {
 public:
  KvAppend(KvAppend&& other) noexcept;
  KvAppend& operator=(KvAppend&&) = delete;
  ~KvAppend();

  // First token's index, and how many.
  int64_t start() const { return start_; }
  int64_t num_tokens() const { return num_tokens_; }
  // The append was applied before: nothing is to be written, Commit does
  // nothing.
  bool is_repeat() const { return is_repeat_; }

  // Writes tokens [token, token + n) of a head from f32 rows [n, head_dim] and
  // [n, value_head_dim], converted and transposed. REQUIRES: they lie within
  // the append, which is no repeat and not committed, and within one page; a
  // page that is packed and begins in this append is written whole, for each
  // head at once.
  void Write(int64_t kv_head, int64_t token, int64_t n, const float* keys,
             const float* values);

  // Shows the tokens; once.
  void Commit();

 private:
  friend class KvLayer;
  explicit KvAppend(KvLayer& layer) : layer_(&layer) {}

  KvLayer* layer_;  // Null once committed or moved from.
  int64_t start_ = 0;
  int64_t num_tokens_ = 0;
  bool is_repeat_ = false;
  bool is_in_place_ = false;  // pages_[0] is the layer's last page.
  AppendKey key_;
  // The layer's pages from the one of start() on, as they will be; but for the
  // first, which becomes `packed_tail_` if that is not null.
  absl::InlinedVector<TablePage, 2> pages_;
  PageRef packed_tail_;
};

// Thread-compatible: its session guards it.
class KvLayer {
 public:
  // Borrows the pool and the tenant, who pays for pages (null: nobody does).
  // `window`: tokens to keep, 0: all. `max_length`: tokens.
  KvLayer(PagePool& pool, const KvFormat& format, int64_t window,
          int64_t max_length, Tenant* tenant = nullptr);
  ~KvLayer();
  KvLayer(const KvLayer&) = delete;
  KvLayer& operator=(const KvLayer&) = delete;

  int64_t length() const { return length_; }
  int64_t first_token() const { return first_page_ * kPageTokens; }

  // FAILED_PRECONDITION / LENGTH_MISMATCH (with the found length) when
  // expected_length is given and is not length(), unless the last append
  // started there and equals `key`; FAILED_PRECONDITION / MAX_LENGTH;
  // RESOURCE_EXHAUSTED / KV_MEMORY or QUOTA. An append of no tokens is legal
  // and leaves no trace. REQUIRES: key.num_tokens >= 0.
  absl::StatusOr<KvAppend> BeginAppend(const AppendKey& key,
                                       std::optional<int64_t> expected_length);

  // What is there now. Costs as much as there are pages only after some came or
  // went.
  KvSnapshot Snapshot();

  // Whether the first `length` tokens can be kept, or taken over by a fork:
  // FAILED_PRECONDITION / LENGTH_MISMATCH when there are fewer, or when the
  // window dropped some that the next row would see; INVALID_ARGUMENT when
  // `length` is negative.
  absl::Status CheckKeeps(int64_t length) const;

  // Keeps the first `length` tokens. CheckKeeps's errors.
  absl::Status Truncate(int64_t length);

  // Takes over the first `length` tokens of `source`, sharing its pages.
  // source.CheckKeeps's errors. REQUIRES: this layer is empty and of the same
  // format.
  absl::Status ForkFrom(const KvLayer& source, int64_t length);

  // Takes over pages that were filled elsewhere: all tokens in
  // [first_token, length), in order. What they hold behind the last one is
  // cleared. Full pages are packed where the format says so, the last one, if
  // it is not full, never is. REQUIRES: this layer is empty, first_token is a
  // multiple of kPageTokens, CheckKeeps(length) would be OK, and nobody else
  // holds the pages.
  void Adopt(int64_t first_token, int64_t length, std::vector<PageRef> pages);

  // Bytes of its pages; of those that other tables own, too.
  int64_t kv_bytes() const;
  int64_t shared_bytes() const;

 private:
  friend class KvAppend;

  // `tokens` in whole pages, the last one perhaps partly filled.
  static int64_t NumPages(int64_t tokens);
  // Tokens in the last page; 0 when it is full.
  int64_t tail_tokens() const { return length_ % kPageTokens; }
  // The first token that a row at `position` may see.
  int64_t FirstSeen(int64_t position) const;

  absl::Status AddPages(KvAppend& append);
  absl::Status AddTail(KvAppend& append);
  absl::StatusOr<PageRef> CopyTail() const;
  void PackTail(KvAppend& append) const;
  // Zeroes places [place, kPageTokens) of a page.
  void ClearPlaces(std::byte* page, int64_t place) const;
  void Show(KvAppend& append);
  void PushPage(TablePage page);
  void DropFirstPages(int64_t count);
  void DropLastPages(int64_t count);
  std::shared_ptr<const ShownPages> MakeShownPages() const;

  PagePool& pool_;
  const KvFormat format_;
  const int64_t window_;
  const int64_t max_length_;
  Tenant* const tenant_;

  std::vector<TablePage> pages_;
  // Of pages_, for the next snapshot; null after they changed.
  std::shared_ptr<const ShownPages> shown_;
  int64_t first_page_ = 0;
  int64_t length_ = 0;
  // Invariant 3: this table made the last page, or cleared it, and has shown
  // nobody more of it than it has now.
  bool is_tail_own_ = false;
  // The last append, for repeats; nothing after a truncation or a fork.
  struct LastAppend {
    int64_t start = 0;
    AppendKey key;
  };
  std::optional<LastAppend> last_append_;
};

}  // namespace attn
