#include "core/kv_cache/page_pool.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <list>
#include <map>
#include <optional>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "core/base/check.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/kv_cache/page_slab.h"

namespace attn {
namespace {

// Empty slabs that are kept over all sizes: sessions that come and go at the
// edge of a slab would else map and zero 2 MiB each time.
constexpr int64_t kMaxEmptySlabs = 16;

using Slabs = std::list<PageSlab>;

}  // namespace

// Slabs move between the lists of their size class by splicing, so that no
// pointer to them ever changes.
struct PagePool::State {
  explicit State(int64_t max) : max_bytes(max) {}

  struct SizeClass {
    State* state = nullptr;
    Slabs full, partial, empty;
  };

  const int64_t max_bytes;
  std::atomic<int64_t> used_bytes{0};
  std::atomic<int64_t> shared_bytes{0};

  absl::Mutex mutex;
  std::map<int64_t, SizeClass> classes ABSL_GUARDED_BY(mutex);
  int64_t slab_bytes ABSL_GUARDED_BY(mutex) = 0;
  int64_t num_empty ABSL_GUARDED_BY(mutex) = 0;

  static State& Of(const KvPage& page) {
    return *static_cast<SizeClass*>(page.slab->owner)->state;
  }

  absl::StatusOr<PageSlab::Taken> Take(int64_t page_bytes, Tenant* tenant);
  void Return(KvPage* page);

 private:
  absl::StatusOr<PageSlab*> FindSlab(int64_t page_bytes)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  absl::StatusOr<PageSlab*> AddSlab(int64_t page_bytes)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  // Gives an empty slab back to the system; false if there is none.
  bool FreeOneEmpty() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  absl::Status Exhausted(int64_t page_bytes) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
};

absl::StatusOr<PageSlab::Taken> PagePool::State::Take(int64_t page_bytes,
                                                      Tenant* tenant) {
  absl::MutexLock lock(&mutex);
  ATTN_ASSIGN_OR_RETURN(PageSlab * slab, FindSlab(page_bytes));
  auto& size_class = *static_cast<SizeClass*>(slab->owner);
  const bool was_empty = slab->is_empty();
  const PageSlab::Taken taken = slab->Take(tenant);
  if (was_empty) --num_empty;
  Slabs& from = was_empty ? size_class.empty : size_class.partial;
  Slabs& to = slab->is_full() ? size_class.full : size_class.partial;
  to.splice(to.begin(), from, slab->place);
  used_bytes.fetch_add(page_bytes, std::memory_order_relaxed);
  return taken;
}

void PagePool::State::Return(KvPage* page) {
  absl::MutexLock lock(&mutex);
  PageSlab& slab = *page->slab;
  auto& size_class = *static_cast<SizeClass*>(slab.owner);
  Slabs& from = slab.is_full() ? size_class.full : size_class.partial;
  slab.Return(page);
  if (Tenant* tenant = slab.TenantOf(*page)) {
    tenant->ReturnKvBytes(slab.page_bytes());
  }
  used_bytes.fetch_sub(slab.page_bytes(), std::memory_order_relaxed);
  Slabs& to = slab.is_empty() ? size_class.empty : size_class.partial;
  to.splice(to.begin(), from, slab.place);
  if (!slab.is_empty()) return;
  ++num_empty;
  // One of each size is enough.
  if (num_empty > kMaxEmptySlabs || size_class.empty.size() > 1) FreeOneEmpty();
}

absl::StatusOr<PageSlab*> PagePool::State::FindSlab(int64_t page_bytes) {
  const auto it = classes.find(page_bytes);
  if (it != classes.end()) {
    if (!it->second.partial.empty()) return &it->second.partial.front();
    if (!it->second.empty.empty()) return &it->second.empty.front();
  }
  return AddSlab(page_bytes);
}

// The system is asked with the lock held: a thread that came meanwhile would
// find no room although most of the new slab is free. Mapping touches nothing
// yet; the zeroing is done without the lock.
absl::StatusOr<PageSlab*> PagePool::State::AddSlab(int64_t page_bytes) {
  const SlabShape whole = SlabShape::Whole(page_bytes);
  while (slab_bytes + whole.bytes > max_bytes && FreeOneEmpty()) {
  }
  const auto shape = SlabShape::Within(page_bytes, max_bytes - slab_bytes);
  if (!shape.has_value()) return Exhausted(page_bytes);
  auto memory = AlignedBuffer::Allocate(shape->bytes);
  if (!memory.ok()) return Exhausted(page_bytes);
  SizeClass& size_class = classes[page_bytes];
  size_class.state = this;
  PageSlab& slab = size_class.empty.emplace_front(*std::move(memory),
                                                  page_bytes, shape->num_pages);
  slab.place = size_class.empty.begin();
  slab.owner = &size_class;
  slab_bytes += slab.size_bytes();
  ++num_empty;
  return &slab;
}

bool PagePool::State::FreeOneEmpty() {
  // Largest count first: a size keeps its only one the longest.
  auto found = classes.end();
  for (auto it = classes.begin(); it != classes.end(); ++it) {
    const size_t most = found == classes.end() ? 0 : found->second.empty.size();
    if (it->second.empty.size() > most) found = it;
  }
  if (found == classes.end()) return false;
  SizeClass& size_class = found->second;
  slab_bytes -= size_class.empty.back().size_bytes();
  size_class.empty.pop_back();
  --num_empty;
  const bool is_unused = size_class.full.empty() &&
                         size_class.partial.empty() && size_class.empty.empty();
  if (is_unused) classes.erase(found);
  return true;
}

absl::Status PagePool::State::Exhausted(int64_t page_bytes) const {
  return MakeError(
      absl::StatusCode::kResourceExhausted, Reason::kKvMemory,
      absl::StrCat("a KV page of ", page_bytes, " bytes does not fit; ",
                   used_bytes.load(std::memory_order_relaxed),
                   " bytes are in use and ", slab_bytes,
                   " taken from the system, of ", max_bytes, " allowed"));
}

PagePool::PagePool(int64_t max_bytes)
    : max_bytes_(max_bytes), state_(std::make_unique<State>(max_bytes)) {}

PagePool::~PagePool() { ATTN_CHECK(used_bytes() == 0); }

absl::StatusOr<PageRef> PagePool::Allocate(int64_t page_bytes, Tenant* tenant) {
  ATTN_CHECK(page_bytes > 0 && page_bytes % kBufferAlignment == 0);
  if (tenant != nullptr) {
    ATTN_RETURN_IF_ERROR(tenant->TakeKvBytes(page_bytes));
  }
  const auto found = state_->Take(page_bytes, tenant);
  if (!found.ok()) {
    if (tenant != nullptr) tenant->ReturnKvBytes(page_bytes);
    return found.status();
  }
  const PageSlab::Taken taken = *found;
  taken.page->counts.store(KvPage::kOneReference, std::memory_order_relaxed);
  PageRef page(taken.page);
  if (!taken.is_zero) {
    std::memset(page.data(), 0, static_cast<size_t>(page_bytes));
  }
  return page;
}

int64_t PagePool::used_bytes() const {
  return state_->used_bytes.load(std::memory_order_relaxed);
}

int64_t PagePool::shared_bytes() const {
  // A page that is shared and unshared at once may be counted in either order.
  return std::max<int64_t>(
      0, state_->shared_bytes.load(std::memory_order_relaxed));
}

int64_t PagePool::slab_bytes() const {
  absl::MutexLock lock(&state_->mutex);
  return state_->slab_bytes;
}

PageRef::PageRef(const PageRef& other) : page_(other.page_) {
  if (page_ == nullptr) return;
  // Relaxed: who copies a reference has one already.
  page_->counts.fetch_add(KvPage::kOneReference, std::memory_order_relaxed);
}

void PageRef::Release() {
  // What this thread did to the page happens before its next use.
  const uint64_t before =
      page_->counts.fetch_sub(KvPage::kOneReference, std::memory_order_acq_rel);
  ATTN_CHECK(KvPage::References(before) > 0);
  if (KvPage::References(before) > 1) return;
  ATTN_CHECK(KvPage::Owners(before) == 0);
  PagePool::State::Of(*page_).Return(page_);
}

std::byte* PageRef::data() const { return page_->slab->DataOf(*page_); }

bool PageRef::is_sole() const {
  // Acquire: what others read or wrote through theirs is over.
  return KvPage::References(page_->counts.load(std::memory_order_acquire)) == 1;
}

bool PageRef::is_shared() const {
  return KvPage::Owners(page_->counts.load(std::memory_order_relaxed)) >= 2;
}

void PageRef::AddOwner() const {
  const uint64_t before =
      page_->counts.fetch_add(KvPage::kOneOwner, std::memory_order_relaxed);
  if (KvPage::Owners(before) != 1) return;
  PagePool::State::Of(*page_).shared_bytes.fetch_add(page_->slab->page_bytes(),
                                                     std::memory_order_relaxed);
}

void PageRef::DropOwner() const {
  const uint64_t before =
      page_->counts.fetch_sub(KvPage::kOneOwner, std::memory_order_relaxed);
  ATTN_CHECK(KvPage::Owners(before) > 0);
  if (KvPage::Owners(before) != 2) return;
  PagePool::State::Of(*page_).shared_bytes.fetch_sub(page_->slab->page_bytes(),
                                                     std::memory_order_relaxed);
}

}  // namespace attn
