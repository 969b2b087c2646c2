// Pages of keys and values under one hard budget of bytes, for all sessions.
// Pages come from huge-page slabs, one kind of slab for each page size. Empty
// slabs go back to the system, but for a few that wait for the next pages (and
// go when another size needs their room).
//
// A page is counted: owners are the page tables that hold it, references are
// owners and the snapshots that kernels still read. It is free when the last
// reference is gone. A page with two owners or more is shared. Whoever owns it,
// it is in the ledger of the tenant that took it until it is free.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "core/tenant/tenant.h"

namespace attn {

struct KvPage;
class PagePool;

// A counted reference to a page. Thread-compatible; different references to one
// page may be used by different threads.
class PageRef {
 public:
  PageRef() = default;
  PageRef(const PageRef& other);
  PageRef(PageRef&& other) noexcept
      : page_(std::exchange(other.page_, nullptr)) {}
  PageRef& operator=(PageRef other) noexcept {
    std::swap(page_, other.page_);
    return *this;
  }
  ~PageRef() {
    if (page_ != nullptr) Release();
  }

  // REQUIRES, from here on: not null.
  std::byte* data() const;
  // Whether this is the only reference: nobody else can read or write the page.
  bool is_sole() const;
  bool is_shared() const;  // Two owners or more.

  // A page table takes the page in or lets it go.
  void AddOwner() const;
  void DropOwner() const;

  bool is_null() const { return page_ == nullptr; }

 private:
  friend class PagePool;
  explicit PageRef(KvPage* page) : page_(page) {}
  void Release();

  KvPage* page_ = nullptr;
};

// Thread-safe. Must outlive its pages: ends the process otherwise.
class PagePool {
 public:
  // `max_bytes` bounds the slabs together. Pages above 2 MiB may leave a part
  // of it unused, because their slabs are multiples of 2 MiB.
  explicit PagePool(int64_t max_bytes);
  ~PagePool();
  PagePool(const PagePool&) = delete;
  PagePool& operator=(const PagePool&) = delete;

  // A zeroed page with one reference and no owner, for a tenant (null: for
  // nobody) who must outlive it. RESOURCE_EXHAUSTED, with the numbers: QUOTA
  // when the tenant may have no more, KV_MEMORY when the budget has no room.
  // REQUIRES: page_bytes > 0, a multiple of 64.
  absl::StatusOr<PageRef> Allocate(int64_t page_bytes,
                                   Tenant* tenant = nullptr);

  int64_t max_bytes() const { return max_bytes_; }
  // Bytes of pages that are referred to; of those with two owners or more.
  int64_t used_bytes() const;
  int64_t shared_bytes() const;
  // Bytes taken from the system: at least used_bytes, at most max_bytes.
  int64_t slab_bytes() const;

 private:
  friend class PageRef;
  struct State;

  const int64_t max_bytes_;
  std::unique_ptr<State> state_;
};

}  // namespace attn
