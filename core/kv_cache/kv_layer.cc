#include "core/kv_cache/kv_layer.h"

#include <algorithm>
#include <numeric>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/check.h"
#include "core/base/checked_math.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/kv_cache/packed_blocks.h"
#include "core/kv_cache/page_blocks.h"

namespace attn {

PagedKv KvSnapshot::View() const {
  // An empty layer is paged, too.
  static constexpr const std::byte* kNoPages = nullptr;
  return {.pages = pages->data.empty() ? &kNoPages : pages->data.data(),
          .forms = pages->forms.empty() ? nullptr : pages->forms.data(),
          .first_page = first_token / kPageTokens,
          .format = format};
}

KvLayer::KvLayer(PagePool& pool, const KvFormat& format, int64_t window,
                 int64_t max_length, Tenant* tenant)
    : pool_(pool),
      format_(format),
      window_(window),
      max_length_(max_length),
      tenant_(tenant) {}

KvLayer::~KvLayer() { DropLastPages(std::ssize(pages_)); }

int64_t KvLayer::NumPages(int64_t tokens) {
  return DivideUp(tokens, kPageTokens);
}

int64_t KvLayer::FirstSeen(int64_t position) const {
  return window_ == 0 ? 0 : std::max<int64_t>(0, position - window_ + 1);
}

absl::StatusOr<KvAppend> KvLayer::BeginAppend(
    const AppendKey& key, std::optional<int64_t> expected_length) {
  ATTN_CHECK(key.num_tokens >= 0);
  KvAppend append(*this);
  append.key_ = key;
  append.num_tokens_ = key.num_tokens;
  append.start_ = length_;
  if (expected_length.has_value() && *expected_length != length_) {
    append.is_repeat_ = last_append_.has_value() && last_append_->key == key &&
                        last_append_->start == *expected_length;
    if (!append.is_repeat_) {
      return LengthMismatch(
          "session.expected_length", "must equal the layer's length",
          absl::StrCat(*expected_length, " vs ", length_), length_);
    }
    append.start_ = last_append_->start;
    return append;
  }
  if (key.num_tokens > max_length_ - length_) {
    return MakeError(
        absl::StatusCode::kFailedPrecondition, Reason::kMaxLength,
        absl::StrCat("session.layer: its length must stay within the session's "
                     "max_length of ",
                     max_length_, "; got ", length_, " + ", key.num_tokens));
  }
  ATTN_RETURN_IF_ERROR(AddPages(append));
  return append;
}

// The last page first, unless it is full; then new ones.
absl::Status KvLayer::AddPages(KvAppend& append) {
  if (append.num_tokens_ == 0) return absl::OkStatus();
  const int64_t end_token = append.start_ + append.num_tokens_;
  const int64_t first = append.start_ / kPageTokens;
  const int64_t end = NumPages(end_token);
  append.pages_.reserve(static_cast<size_t>(end - first));
  if (tail_tokens() > 0) ATTN_RETURN_IF_ERROR(AddTail(append));
  for (int64_t page = first + std::ssize(append.pages_); page < end; ++page) {
    const PageForm form = format_.FormOf((page + 1) * kPageTokens <= end_token);
    ATTN_ASSIGN_OR_RETURN(PageRef ref,
                          pool_.Allocate(format_.BytesOf(form), tenant_));
    append.pages_.push_back({std::move(ref), form});
  }
  return absl::OkStatus();
}

absl::Status KvLayer::AddTail(KvAppend& append) {
  const TablePage& tail = pages_.back();
  if (!is_tail_own_) shown_.reset();  // Its reference is nobody else's.
  append.is_in_place_ =
      tail.form == PageForm::kFloat && (is_tail_own_ || tail.ref.is_sole());
  if (!append.is_in_place_) {
    ATTN_ASSIGN_OR_RETURN(PageRef copy, CopyTail());
    append.pages_.push_back({std::move(copy), PageForm::kFloat});
  } else {
    if (!is_tail_own_) ClearPlaces(tail.ref.data(), tail_tokens());
    append.pages_.push_back(tail);
  }
  const bool is_filled = tail_tokens() + append.num_tokens_ >= kPageTokens;
  if (!format_.packs_full_pages || !is_filled) return absl::OkStatus();
  ATTN_ASSIGN_OR_RETURN(append.packed_tail_,
                        pool_.Allocate(format_.packed_page_bytes(), tenant_));
  return absl::OkStatus();
}

// Only places that this layer shows: others may be being written.
absl::StatusOr<PageRef> KvLayer::CopyTail() const {
  ATTN_ASSIGN_OR_RETURN(PageRef copy,
                        pool_.Allocate(format_.page_bytes(), tenant_));
  const TablePage& tail = pages_.back();
  CopyFirstTokens(format_, tail.ref.data(), tail.form, tail_tokens(),
                  copy.data());
  return copy;
}

// The first page, which is full now, gives way to its packed form.
void KvLayer::PackTail(KvAppend& append) const {
  TablePage& tail = append.pages_.front();
  for (int64_t head = 0; head < format_.num_kv_heads; ++head) {
    PackPage(BlocksOf<const std::byte>(format_, tail.ref.data(), head),
             PackedBlocksOf(format_, append.packed_tail_.data(), head));
  }
  tail = {std::move(append.packed_tail_), PageForm::kPacked};
  append.is_in_place_ = false;
}

void KvLayer::ClearPlaces(std::byte* page, int64_t place) const {
  for (int64_t head = 0; head < format_.num_kv_heads; ++head) {
    ClearTokens(BlocksOf(format_, page, head), place);
  }
}

KvAppend::KvAppend(KvAppend&& other) noexcept
    : layer_(std::exchange(other.layer_, nullptr)),
      start_(other.start_),
      num_tokens_(other.num_tokens_),
      is_repeat_(other.is_repeat_),
      is_in_place_(other.is_in_place_),
      key_(other.key_),
      pages_(std::move(other.pages_)),
      packed_tail_(std::move(other.packed_tail_)) {}

KvAppend::~KvAppend() {
  if (layer_ == nullptr || !is_in_place_ || pages_.empty()) return;
  layer_->ClearPlaces(pages_.front().ref.data(), start_ % kPageTokens);
}

void KvAppend::Write(int64_t kv_head, int64_t token, int64_t n,
                     const float* keys, const float* values) {
  if (n == 0) return;
  const int64_t place = token % kPageTokens;
  ATTN_CHECK(layer_ != nullptr && !is_repeat_ && n > 0 && token >= start_ &&
             token + n <= start_ + num_tokens_ && place + n <= kPageTokens);
  const TablePage& page = pages_[token / kPageTokens - start_ / kPageTokens];
  const KvFormat& format = layer_->format_;
  ATTN_CHECK(kv_head >= 0 && kv_head < format.num_kv_heads);
  const TokenRun run{.place = place, .n = n, .keys = keys, .values = values};
  if (page.form == PageForm::kPacked) {
    PackTokens(run, PackedBlocksOf(format, page.ref.data(), kv_head));
  } else {
    WriteTokens(run, BlocksOf(format, page.ref.data(), kv_head));
  }
}

void KvAppend::Commit() {
  ATTN_CHECK(layer_ != nullptr);
  KvLayer& layer = *std::exchange(layer_, nullptr);
  if (!is_repeat_ && num_tokens_ > 0) layer.Show(*this);
  pages_.clear();
}

void KvLayer::Show(KvAppend& append) {
  if (!append.packed_tail_.is_null()) PackTail(append);
  const bool has_tail = tail_tokens() > 0;
  if (has_tail && !append.is_in_place_) DropLastPages(1);
  for (TablePage& page : append.pages_) {
    const bool is_there = append.is_in_place_ && &page == &append.pages_[0];
    if (is_there) continue;
    PushPage(std::move(page));
  }
  length_ += append.num_tokens_;
  is_tail_own_ = true;
  last_append_ = LastAppend{append.start_, append.key_};
  DropFirstPages(FirstSeen(append.start_) / kPageTokens - first_page_);
}

KvSnapshot KvLayer::Snapshot() {
  if (shown_ == nullptr) shown_ = MakeShownPages();
  return {.format = format_,
          .length = length_,
          .first_token = first_token(),
          .pages = shown_};
}

std::shared_ptr<const ShownPages> KvLayer::MakeShownPages() const {
  auto shown = std::make_shared<ShownPages>();
  shown->refs.reserve(pages_.size());
  shown->data.reserve(pages_.size());
  for (const TablePage& page : pages_) {
    shown->refs.push_back(page.ref);
    shown->data.push_back(page.ref.data());
  }
  if (!format_.packs_full_pages) return shown;
  shown->forms.reserve(pages_.size());
  for (const TablePage& page : pages_) shown->forms.push_back(page.form);
  return shown;
}

absl::Status KvLayer::CheckKeeps(int64_t length) const {
  if (length < 0) {
    return InvalidOption("length", "must be at least 0", absl::StrCat(length));
  }
  if (length > length_) {
    return LengthMismatch("length", "must be at most the layer's length",
                          absl::StrCat(length, " vs ", length_), length_);
  }
  const bool is_kept = length == 0 || (length >= first_token() &&
                                       FirstSeen(length) >= first_token());
  if (is_kept) return absl::OkStatus();
  return LengthMismatch(
      "length", "must lie where the window's tokens are still kept",
      absl::StrCat(length, ", kept from ", first_token(), ", window ", window_),
      length_);
}

absl::Status KvLayer::Truncate(int64_t length) {
  ATTN_RETURN_IF_ERROR(CheckKeeps(length));
  if (length == length_) return absl::OkStatus();
  if (length == 0) {
    DropLastPages(std::ssize(pages_));
    first_page_ = 0;
  } else {
    DropLastPages(std::ssize(pages_) + first_page_ - NumPages(length));
  }
  length_ = length;
  is_tail_own_ = false;
  last_append_.reset();
  return absl::OkStatus();
}

absl::Status KvLayer::ForkFrom(const KvLayer& source, int64_t length) {
  ATTN_CHECK(length_ == 0 && pages_.empty() && &source != this);
  ATTN_CHECK(format_ == source.format_);
  ATTN_RETURN_IF_ERROR(source.CheckKeeps(length));
  first_page_ = length == 0 ? 0 : source.first_page_;
  const int64_t count = NumPages(length) - first_page_;
  pages_.reserve(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) PushPage(source.pages_[i]);
  length_ = length;
  is_tail_own_ = false;
  last_append_.reset();
  return absl::OkStatus();
}

void KvLayer::Adopt(int64_t first_token, int64_t length,
                    std::vector<PageRef> pages) {
  ATTN_CHECK(length_ == 0 && pages_.empty() && first_token % kPageTokens == 0);
  ATTN_CHECK(std::ssize(pages) == NumPages(length) - first_token / kPageTokens);
  first_page_ = first_token / kPageTokens;
  length_ = length;
  pages_.reserve(pages.size());
  for (PageRef& page : pages) {
    const int64_t end = (first_page_ + std::ssize(pages_) + 1) * kPageTokens;
    PushPage({std::move(page), format_.FormOf(end <= length)});
  }
  if (tail_tokens() > 0) ClearPlaces(pages_.back().ref.data(), tail_tokens());
  is_tail_own_ = true;
  last_append_.reset();
}

void KvLayer::PushPage(TablePage page) {
  shown_.reset();
  page.ref.AddOwner();
  pages_.push_back(std::move(page));
}

void KvLayer::DropFirstPages(int64_t count) {
  if (count <= 0) return;
  shown_.reset();
  for (int64_t i = 0; i < count; ++i) pages_[i].ref.DropOwner();
  pages_.erase(pages_.begin(), pages_.begin() + count);
  first_page_ += count;
}

void KvLayer::DropLastPages(int64_t count) {
  if (count > 0) shown_.reset();
  for (int64_t i = 0; i < count; ++i) {
    pages_.back().ref.DropOwner();
    pages_.pop_back();
  }
}

int64_t KvLayer::kv_bytes() const {
  return std::accumulate(pages_.begin(), pages_.end(), int64_t{0},
                         [this](int64_t bytes, const TablePage& page) {
                           return bytes + format_.BytesOf(page.form);
                         });
}

int64_t KvLayer::shared_bytes() const {
  return std::accumulate(pages_.begin(), pages_.end(), int64_t{0},
                         [this](int64_t bytes, const TablePage& page) {
                           return page.ref.is_shared()
                                      ? bytes + format_.BytesOf(page.form)
                                      : bytes;
                         });
}

}  // namespace attn
