// Pages of keys and values under one hard budget of bytes, for all sessions.
// Pages come from huge-page slabs, one kind of slab for each page size, and go
// back to the system when a slab is empty.
//
// A page is counted: owners are the page tables that hold it, references are
// owners and the snapshots that kernels still read. It is free when the last
// reference is gone. A page with two owners or more is shared.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"

namespace attn {

class PagePool;

// A counted reference to a page. Thread-compatible; different references to one
// page may be used by different threads.
class PageRef {
 public:
  PageRef() = default;
  PageRef(const PageRef& other);
  PageRef(PageRef&& other) noexcept;
  PageRef& operator=(PageRef other) noexcept;
  ~PageRef();

  std::byte* data() const;
  bool is_null() const { return page_ == nullptr; }
  // Whether this is the only reference: nobody else can read or write the page.
  bool is_sole() const;
  bool is_shared() const;  // Two owners or more.

  // A page table takes the page in or lets it go. REQUIRES: not null.
  void AddOwner() const;
  void DropOwner() const;

 private:
  friend class PagePool;
  struct Page;
  explicit PageRef(Page* page) : page_(page) {}

  Page* page_ = nullptr;
};

// Thread-safe. Must outlive its pages.
class PagePool {
 public:
  // `max_bytes` bounds the slabs together.
  explicit PagePool(int64_t max_bytes);
  ~PagePool();

  // A zeroed page with one reference and no owner. RESOURCE_EXHAUSTED /
  // KV_MEMORY, with the numbers, when the budget has no room.
  // REQUIRES: page_bytes > 0.
  absl::StatusOr<PageRef> Allocate(int64_t page_bytes);

  int64_t max_bytes() const { return max_bytes_; }
  // Bytes of pages that are referred to; of those with two owners or more.
  int64_t used_bytes() const;
  int64_t shared_bytes() const;

 private:
  friend class PageRef;
  struct State;

  const int64_t max_bytes_;
  std::unique_ptr<State> state_;
};

}  // namespace attn
